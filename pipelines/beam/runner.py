"""Beam's local runner, with worker processes that end with their run."""

from __future__ import annotations

import logging
import sys
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from prefdata.pipelines.beam.signals import QUIET, WORKER

# Without exec the shell that Beam starts the command with would stand between the two processes,
# and die of a Ctrl-C while the worker goes on.
_COMMAND = f"exec '{sys.executable}' -m {WORKER}"


class LocalRunner(FnApiRunner):
    """FnApiRunner, whose workers (multi_processing) are those of worker.py."""

    def run_via_runner_api(self, pipeline_proto: Any, options: PipelineOptions) -> Any:
        quiet = logging.getLogger("apache_beam").level >= logging.CRITICAL
        command = f"{_COMMAND} {QUIET if quiet else ''}"
        for environment in pipeline_proto.components.environments.values():
            if environment.urn == python_urns.SUBPROCESS_SDK:
                environment.payload = command.encode()
        return super().run_via_runner_api(pipeline_proto, options)
