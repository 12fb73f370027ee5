"""Beam's local runner, with worker processes that end with their run."""

from __future__ import annotations

import logging
import sys
import threading
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
        if quiet:
            silence_threads()
        command = f"{_COMMAND} {QUIET if quiet else ''}"
        for environment in pipeline_proto.components.environments.values():
            if environment.urn == python_urns.SUBPROCESS_SDK:
                environment.payload = command.encode()
        return super().run_via_runner_api(pipeline_proto, options)


def silence_threads() -> None:
    """Print no error of Beam's own threads from now on.

    When a worker process dies, two of them end with an error that the run ends with anyway.
    """
    report = threading.excepthook
    if getattr(report, "skips_beam", False):
        return

    def skip_beam(ended: Any) -> None:
        frame = ended.exc_traceback
        while frame is not None:
            if frame.tb_frame.f_globals.get("__name__", "").startswith("apache_beam."):
                return
            frame = frame.tb_next
        report(ended)

    vars(skip_beam)["skips_beam"] = True
    threading.excepthook = skip_beam
