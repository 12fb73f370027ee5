"""The same inputs give the same bytes: run again, on other runners, in other bucketings."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from pathlib import Path

import apache_beam as beam
import flows
import polars as pl
import pytest
from apache_beam.options.pipeline_options import DirectOptions

from prefdata.cli.app import main
from prefdata.dataset.manifest import read_manifest
from prefdata.errors import ConfigError
from prefdata.pipelines.stages.base import execute, options

RUNNERS = {
    "one worker": ["--direct_num_workers=1"],
    "several workers": ["--direct_num_workers=4"],
    "multi_threading": ["--direct_running_mode=multi_threading", "--direct_num_workers=2"],
    "multi_processing": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
    "portable, in this process": [
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=LOOPBACK",
        "--job_server_timeout=30",
    ],
    "portable, worker process": [
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=beam:env:harness_subprocess_python:v1",
        f"--environment_config={sys.executable} -m apache_beam.runners.worker.sdk_worker_main",
        "--job_server_timeout=30",
    ],
}


def hashes(data: Path) -> dict[str, str]:
    """SHA-256 of every file of every table and of the dataset; memo and rates left out."""
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.relative_to(data).parts[0] not in ("memo", "stats")
    }


def run(folder: Path, *more: str) -> dict[str, str]:
    flows.write_prompts(folder, 40)
    params = flows.write_params(folder)
    # The prompts' origin holds their path: relative, so that both folders give the same.
    text = params.read_text().replace(f"{folder}/", "")
    params.write_text(text)
    assert main(["run", "--quiet", *more]) == 0
    return hashes(folder / "data")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run(folder)


@pytest.mark.parametrize("runner", RUNNERS)
def test_every_runner_writes_the_same_bytes(
    runner: str, reference: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, *RUNNERS[runner]) == reference
    assert len(reference) > 40


@pytest.mark.parametrize("runner", ["multi_processing", "portable, worker process"])
def test_the_judges_are_shown_the_same_on_every_runner(
    runner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, more in (("one", []), ("other", RUNNERS[runner])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        shown = ["--set", "judge.demonstrations={count: 2}"]
        found.append(run(tmp_path / name, *shown, *more))
    assert found[0] == found[1]
    assert "demonstrations/_table.json" in found[0]


def test_running_again_over_it_changes_nothing_and_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    first = run(tmp_path)
    capsys.readouterr()
    assert run(tmp_path, "--json") == first
    import orjson

    stages = orjson.loads(capsys.readouterr().out.splitlines()[-1])["stages"]
    used = [model for stage in stages.values() for model in stage["models"].values()]
    assert used
    assert all(model["cached"] == model["requests"] > 0 for model in used)


def test_the_bucket_count_changes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for buckets in (1, 16):
        folder = tmp_path / str(buckets)
        folder.mkdir()
        monkeypatch.chdir(folder)
        run(folder, "--set", f"buckets={buckets}")
        rows = pl.concat(
            [pl.read_parquet(f) for f in sorted((folder / "data/dataset/data").glob("*.parquet"))]
        )
        found.append((rows.sort("pair_id"), read_manifest("data/dataset").content_version))
    assert found[0][0].equals(found[1][0])
    assert found[0][1] == found[1][1]


def test_fewer_buckets_leave_no_stale_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "--set", "buckets=16")
    run(tmp_path, "--set", "buckets=2")
    names = [p.name for p in (tmp_path / "data").rglob("*.parquet") if "memo" not in p.parts]
    assert names
    assert not [name for name in names if "of-00016" in name]


MEETING = threading.Barrier(2)


def meet(number: int) -> int:
    MEETING.wait(timeout=30)
    return number


def test_the_local_runner_works_on_several_buckets_at_once() -> None:
    def build(pipeline: beam.Pipeline) -> None:
        pipeline | beam.Create(range(8)) | beam.Reshuffle() | beam.Map(meet)

    execute(build, ["--direct_num_workers=2"])
    MEETING.reset()
    alone = threading.Timer(5, MEETING.abort)
    alone.start()
    with pytest.raises(RuntimeError, match="BrokenBarrierError"):
        execute(build, ["--direct_num_workers=1"])
    alone.cancel()


def test_by_default_there_are_as_many_workers_as_cores_and_the_user_may_say_otherwise() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert options([]).view_as(DirectOptions).direct_num_workers == min(cores or 1, 8)
    assert options(["--direct_num_workers=3"]).view_as(DirectOptions).direct_num_workers == 3


def test_the_dask_runner_is_refused() -> None:
    with pytest.raises(ConfigError, match="loses"):
        options(["--runner=DaskRunner"])
