"""Running a pipeline on the runner that the command line names."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefdata.errors import AbortError, ConfigError
from prefdata.pipelines.beam.errors import read_carried
from prefdata.pipelines.beam.signals import WORKER

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from prefdata.pipelines.stages.base import Context

DEFAULT_RUNNER = "prefdata.pipelines.beam.runner.LocalRunner"
MAX_WORKERS = 8
"""Buckets worked on at once by default: each takes its memory, and Python's lock gets crowded."""

_LOCAL = ("directrunner", "direct", "bundlebaseddirectrunner", "fnapirunner")


def parse_options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options from the command line's unknown ones; the local runner by default.

    DirectRunner means the same local runner: by itself it would first try to download another
    one, and hang where the network is silent. It works on as many buckets at once as there are
    cores: nearly all of the work runs outside the interpreter's lock.

    Raises:
        ConfigError: The runner is not there, or loses rows.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default=DEFAULT_RUNNER)
    parser.add_argument("--direct_num_workers", type=int, default=min(_count_cores(), MAX_WORKERS))
    given, others = parser.parse_known_args(list(arguments))
    name = DEFAULT_RUNNER if given.runner.lower() in _LOCAL else given.runner
    if "dask" in name.lower():
        raise ConfigError(
            f"--runner={name}: it loses and repeats rows and still reports success",
            "Use the default, or SparkRunner, FlinkRunner or DataflowRunner.",
        )
    try:
        beam.runners.create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise ConfigError(
            f"--runner={name}: {str(error).splitlines()[0]}",
            "Check the name; some runners need an extra, such as apache-beam[gcp].",
        ) from error
    workers = f"--direct_num_workers={given.direct_num_workers}"
    return PipelineOptions([*others, f"--runner={name}", f"--beam_plugin={WORKER}", workers])


def execute(build: Callable[[beam.Pipeline, Context], Any], context: Context) -> None:
    """Run the pipeline that `build` makes, to its end.

    An error of a worker comes back as it was raised there; a run that was asked to stop ends with
    KeyboardInterrupt.
    """
    import apache_beam as beam

    pipeline = beam.Pipeline(options=parse_options(context.beam_arguments))
    build(pipeline, context)
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:
        original = read_carried(error)
        if original is None and context.runtime.stopping.is_set():
            raise KeyboardInterrupt from None
        if original is None and "Channel closed prematurely" in str(error):
            original = AbortError(
                "a worker process died in the middle of its work (killed, or out of memory?)",
                "Give it fewer workers (--direct_num_workers) or more memory, then run again: "
                "finished model calls are kept.",
            )
        if original is None:
            raise
        raise original from None


def _count_cores() -> int:
    """The cores this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
