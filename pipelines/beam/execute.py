"""Running a pipeline on the runner that the command line names."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefdata.errors import AbortError, ConfigError
from prefdata.pipelines.beam.errors import read_carried
from prefdata.pipelines.beam.signals import WORKER

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from prefdata.config.params import Params
    from prefdata.pipelines.stages.base import Context

logger = logging.getLogger(__name__)

DEFAULT_RUNNER = "prefdata.pipelines.beam.runner.LocalRunner"
MAX_WORKERS = 8
"""Most buckets at once by default: each takes memory, and threads compete for Python's lock."""

CLUSTERS = ("DataflowRunner", "SparkRunner", "FlinkRunner", "PortableRunner")
"""The runners whose workers may be on other machines."""

_LOCAL = ("directrunner", "direct", "bundlebaseddirectrunner", "fnapirunner")


def parse_options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options from those of the command line that prefdata does not know.

    The default is the local runner. DirectRunner means the same: Beam's own would first try to
    download another runner, and hang where the network does not respond. The local runner works on
    as many buckets at once as there are cores: nearly all work runs outside Python's lock.

    Raises:
        ConfigError: The runner can't be created, or loses rows.
    """
    import apache_beam as beam

    from prefdata.pipelines.beam.options import CachingOptions

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default=DEFAULT_RUNNER)
    parser.add_argument("--direct_num_workers", type=int, default=min(_count_cores(), MAX_WORKERS))
    named, others = parser.parse_known_args(list(arguments))
    name = DEFAULT_RUNNER if named.runner.lower() in _LOCAL else named.runner
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
            "Check the name; some runners need packages of their own.",
        ) from error
    workers = f"--direct_num_workers={named.direct_num_workers}"
    return CachingOptions([*others, f"--runner={name}", f"--beam_plugin={WORKER}", workers])


def check_runner(params: Params, arguments: Sequence[str], submit: bool = True) -> PipelineOptions:
    """Check that the runner can run the flow; its options.

    Args:
        params: All of params.yaml.
        arguments: Those of `parse_options`.
        submit: Whether jobs will be submitted from here; false: only their graphs are built.

    Raises:
        ConfigError: Something that the runner needs is missing.
    """
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners import create_runner

    options = parse_options(arguments)
    name = options.view_as(StandardOptions).runner
    if name != DEFAULT_RUNNER:
        from prefdata.pipelines.beam.clusters import check_cluster

        check_cluster(create_runner(name), options, params, submit)
    return options


def execute(build: Callable[[beam.Pipeline, Context], Any], context: Context) -> None:
    """Run the pipeline that `build` makes to its end.

    A worker's prefdata error is raised here again; a run that was asked to stop raises
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
        name = type(pipeline.runner).__name__
        if original is None and name in CLUSTERS:
            logger.info("%s failed", name, exc_info=True)
            what = str(error).strip().splitlines() or [type(error).__name__]
            original = AbortError(
                f"{name} failed: {what[0]}",
                "See the job's own log, or add --verbose and run again: finished calls are kept.",
            )
        if original is None:
            raise
        raise original from None


def _count_cores() -> int:
    """The cores this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
