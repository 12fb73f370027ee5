"""Running a pipeline: the options, and how many buckets are worked on at once."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import flows
import pytest
from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, PipelineOptions

from prefdata.errors import ConfigError
from prefdata.pipelines.beam.execute import count_processes, execute, parse_options
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.beam.steps import apply_step, spread_numbers
from prefdata.pipelines.stages.base import Context

MEETING = threading.Barrier(2)
KEPT: list[int] = []


def meet(_: Context, number: int) -> Iterator[int]:
    MEETING.wait(timeout=30)
    yield number


def keep(_: Context, number: int) -> Iterator[int]:
    KEPT.append(number)
    yield number


def run_meeting(folder: Path, workers: int) -> None:
    def build(pipeline: beam.Pipeline, context: Context) -> None:
        apply_step(spread_numbers(pipeline, "Numbers", context, 8), "Meet", context, meet)

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


def test_all_views_of_the_options_share_their_values_and_those_of_a_copy_do_not() -> None:
    options = parse_options(["--direct_num_workers=3", "--direct_running_mode=in_memory"])
    view = options.view_as(DirectOptions)
    assert options.view_as(DirectOptions) is view
    for copied in (copy.deepcopy(options), pickle.loads(pickle.dumps(options))):
        copied.view_as(DirectOptions).direct_num_workers = 4
        assert copied.view_as(DirectOptions).direct_num_workers == 4
        assert view.direct_num_workers == 3
    view.direct_num_workers = 5
    assert PipelineOptions.view_as(options, DirectOptions).direct_num_workers == 5
    assert options.get_all_options()["direct_num_workers"] == 5


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_number_is_worked_on_once(tmp_path: Path, count: int) -> None:
    def build(pipeline: beam.Pipeline, context: Context) -> None:
        numbers = spread_numbers(pipeline, "Numbers", context, count)
        apply_step(numbers, "Keep", context, keep)

    params = flows.params(tmp_path, 1)
    with open_runtime(params) as run:
        KEPT.clear()
        execute(build, Context(params, "keep", run))
    assert sorted(KEPT) == list(range(count))


def test_a_context_arrives_as_it_was_sent(tmp_path: Path) -> None:
    sent = Context(flows.params(tmp_path, 1), "judge", "a run", 4, ("--runner=x",))
    assert pickle.loads(pickle.dumps(sent)) == sent


def test_the_dask_runner_is_refused() -> None:
    with pytest.raises(ConfigError, match="loses"):
        parse_options(["--runner=DaskRunner"])


def test_worker_processes_are_for_many_buckets_on_the_local_runner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    two = ["--direct_num_workers=2"]
    assert count_processes(two, 4) == 0
    assert count_processes(two, 8) == 2
    assert count_processes(["--direct_num_workers=1"], 64) == 0
    assert count_processes(["--direct_running_mode=multi_processing", *two], 1) == 2
    for mode in ("in_memory", "multi_threading"):
        assert count_processes([f"--direct_running_mode={mode}", *two], 64) == 0
    assert count_processes(["--runner=DirectRunner", *two], 8) == 2
    assert count_processes(["--runner=PortableRunner", *two], 64) == 0
    monkeypatch.setattr("sys.platform", "darwin")
    assert count_processes(two, 8) == 0


def test_no_job_lists_the_installed_packages() -> None:
    options = parse_options(["--runner=PortableRunner", "--experiments=use_x"])
    experiments = options.view_as(DebugOptions).experiments
    assert {"use_x", "disable_logging_submission_environment"} <= set(experiments)
