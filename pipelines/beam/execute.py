"""Running a pipeline on the runner that the command line names."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefdata.errors import AbortError, ConfigError
from prefdata.pipelines.beam.errors import read_carried
from prefdata.pipelines.beam.signals import WORKER
from prefdata.pipelines.beam.spill import open_spill

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from prefdata.config.params import Params
    from prefdata.pipelines.stages.base import Context

logger = logging.getLogger(__name__)

DEFAULT_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
MAX_WORKERS = 8
"""Most buckets at once by default: each takes memory, and threads compete for Python's lock."""

CLUSTERS = ("DataflowRunner", "SparkRunner", "FlinkRunner", "PortableRunner")
"""The runners whose workers may be on other machines."""

PROCESSES = "multi_processing"
"""The running mode in which worker processes do the work, however little it is."""
POOLED_BUCKETS = 8
"""The least number of buckets for which worker processes, which take a second, start unasked."""

_NO_FREEZE = "disable_logging_submission_environment"
"""Beam would run `pip freeze` for the log of every job: most of what a small stage takes."""
_LOCAL = ("directrunner", "direct", "bundlebaseddirectrunner", "fnapirunner")


def parse_options(arguments: Sequence[str], processes: int = 0) -> PipelineOptions:
    """Beam's options from those of the command line that prefdata does not know.

    The default is the local runner. DirectRunner means the same: Beam's own would first try to
    download another runner, and hang where the network does not respond. The local runner works on
    as many buckets at once as there are cores, in worker processes (see `count_processes`) or in
    threads.

    Raises:
        ConfigError: The runner can't be created, or loses rows.
    """
    import apache_beam as beam

    from prefdata.pipelines.beam.options import CachingOptions

    named, others = _read_arguments(arguments)
    name = named.runner
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
    others += [f"--runner={name}", f"--beam_plugin={WORKER}", f"--experiments={_NO_FREEZE}"]
    # The runner deals buckets out to its threads before it begins. With two for each process the
    # one that is done first takes what is left.
    threads = 2 * processes or named.direct_num_workers
    others.append(f"--direct_num_workers={threads}")
    # Beam's own processes would be started anew for each stage: see `count_processes`.
    if named.direct_running_mode not in (None, PROCESSES):
        others.append(f"--direct_running_mode={named.direct_running_mode}")
    return CachingOptions(others)


def count_processes(arguments: Sequence[str], buckets: int) -> int:
    """How many worker processes a stage of so many buckets takes; 0: its work is done in threads.

    Only the local runner takes any. `--direct_running_mode=multi_processing` asks for them, another
    mode for none. Unasked, a stage of several buckets takes one for each core.
    """
    named, _ = _read_arguments(arguments)
    mode, workers = named.direct_running_mode, named.direct_num_workers
    # On macOS a process that has loaded numpy may not be forked, and Windows has no fork.
    if named.runner != DEFAULT_RUNNER or sys.platform != "linux":
        return 0
    wanted = mode == PROCESSES or (not mode and workers > 1 and buckets >= POOLED_BUCKETS)
    return workers if wanted else 0


def _read_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options that say where work is done, and the others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default=DEFAULT_RUNNER)
    parser.add_argument("--direct_num_workers", type=int, default=min(_count_cores(), MAX_WORKERS))
    parser.add_argument("--direct_running_mode")
    named, others = parser.parse_known_args(list(arguments))
    if named.runner.lower() in _LOCAL:
        named.runner = DEFAULT_RUNNER
    return named, others


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

    processes = count_processes(context.beam_arguments, context.buckets)
    pipeline = beam.Pipeline(options=parse_options(context.beam_arguments, processes))
    local = _read_arguments(context.beam_arguments)[0].runner == DEFAULT_RUNNER
    with open_spill(context.params.data) if local else nullcontext("") as spill:
        build(pipeline, replace(context, spill=spill))
        _run(pipeline, context, processes)


def _run(pipeline: beam.Pipeline, context: Context, processes: int) -> None:
    try:
        with context.runtime.use_workers(processes):
            pipeline.run().wait_until_finish()
    except Exception as error:
        original = read_carried(error)
        if original is None and context.runtime.stopping.is_set():
            raise KeyboardInterrupt from None
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
