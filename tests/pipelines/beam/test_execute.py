"""Running a pipeline: the options, and how many buckets are worked on at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import apache_beam as beam
import flows
import pytest
from apache_beam.options.pipeline_options import DirectOptions

from prefdata.errors import ConfigError
from prefdata.pipelines.beam.execute import execute, parse_options
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.stages.base import Context

MEETING = threading.Barrier(2)


def meet(number: int) -> int:
    MEETING.wait(timeout=30)
    return number


def run_meeting(folder: Path, workers: int) -> None:
    def build(pipeline: beam.Pipeline, _: Context) -> None:
        pipeline | beam.Create(range(8)) | beam.Map(meet)

    params = flows.params(folder, 1)
    with open_runtime(params) as run:
        arguments = (f"--direct_num_workers={workers}",)
        execute(build, Context(params, "meet", run, beam_arguments=arguments))


def test_the_local_runner_works_on_several_buckets_at_once(tmp_path: Path) -> None:
    run_meeting(tmp_path, 2)
    MEETING.reset()
    alone = threading.Timer(2, MEETING.abort)
    alone.start()
    with pytest.raises(RuntimeError, match="BrokenBarrierError"):
        run_meeting(tmp_path, 1)
    alone.cancel()


def test_by_default_there_are_as_many_workers_as_cores_and_the_user_may_say_otherwise() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    default, three = parse_options([]), parse_options(["--direct_num_workers=3"])
    assert default.view_as(DirectOptions).direct_num_workers == min(cores or 1, 8)
    assert three.view_as(DirectOptions).direct_num_workers == 3


def test_the_dask_runner_is_refused() -> None:
    with pytest.raises(ConfigError, match="loses"):
        parse_options(["--runner=DaskRunner"])
