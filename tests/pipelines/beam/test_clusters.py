"""What runners of other machines need is said before any work: one problem, one remedy."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import flows
import orjson
import psutil
import pytest

from prefdata.cli.app import main
from prefdata.config import Params
from prefdata.errors import ConfigError
from prefdata.pipelines.beam import clusters
from prefdata.pipelines.beam.execute import check_runner

DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=r1",
    "--temp_location=gs://my-bucket/tmp",
    "--sdk_container_image=image:1",
]
REMOTE = {"data": "gs://my-bucket/data", "memo": "gs://my-bucket/memo"}
PORTABLE = ["--runner=PortableRunner", "--job_endpoint=embed"]


@pytest.fixture
def remote(tmp_path: Path) -> Params:
    """A flow whose data and memo are on shared storage."""
    sources = {"sources": [{"path": "gs://my-bucket/prompts.jsonl"}]}
    return flows.params(tmp_path, 1, ingest=sources, **REMOTE)


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with Java."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")


def refuse(params: Params, *options: str, submit: bool = True) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check_runner(params, options, submit)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value.problem) + caught.value.remedy
    assert caught.value.remedy
    return caught.value


def test_dataflow_without_its_extra(remote: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "GCP_MODULES", ("json", "no_such_cloud.dataflow"))
    error = refuse(remote, *DATAFLOW)
    assert "no_such_cloud.dataflow can't be imported" in error.problem
    assert "json" not in error.problem
    assert error.remedy == "Install the extra: pip install prefdata[gcp]"
    # What is only shown needs no package.
    check_runner(remote, DATAFLOW, submit=False)


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ("--project", "--project is not set"),
        ("--region", "--region is not set"),
        ("--temp_location", "--temp_location is not set"),
        ("--sdk_container_image", "its workers would start without prefdata"),
    ],
)
def test_dataflow_without_its_options(remote: Params, without: str, expected: str) -> None:
    options = [option for option in DATAFLOW if not option.startswith(without)]
    error = refuse(remote, *options, submit=False)
    assert expected in error.problem
    assert without in error.remedy


def test_dataflow_with_a_wrong_option(remote: Params) -> None:
    error = refuse(remote, *DATAFLOW, "--temp_location=/tmp/x", submit=False)
    assert "Invalid GCS path (/tmp/x)" in error.problem


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"data": "data"}, "data"),
        ({"memo": "/tmp/memo"}, "memo"),
        ({"ingest": None}, "ingest.sources.0.path"),
        ({"reward_head": {"data": "gs://my-bucket/x", "model": "policy"}}, "reward_head.out"),
    ],
)
@pytest.mark.parametrize(
    "options", [DATAFLOW, [*PORTABLE, "--environment_type=DOCKER", "--environment_config=image"]]
)
def test_paths_of_this_machine_are_refused(
    tmp_path: Path, changes: dict[str, object], setting: str, options: list[str]
) -> None:
    local = {"sources": [{"path": str(tmp_path / "prompts.jsonl")}]}
    ingest = {"sources": [{"path": "gs://my-bucket/prompts.jsonl"}]}
    changes = {"ingest": ingest, **REMOTE, **changes}
    changes["ingest"] = changes["ingest"] or local
    params = flows.params(tmp_path, 1, **changes)
    error = refuse(params, *options, submit=False)
    assert error.problem.startswith(f"{setting}: ")
    assert "is on this machine" in error.problem
    assert f"Set `{setting}` to a URL" in error.remedy


@pytest.mark.parametrize(
    ("kind", "is_shared"), [("nfs4", True), ("fuse.sshfs", True), ("ext4", False)]
)
def test_a_network_disk_is_where_workers_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_shared: bool
) -> None:
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="ext4"),
        SimpleNamespace(mountpoint=str(tmp_path), fstype=kind),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    params = flows.params(tmp_path, 1)
    spark = ["--runner=SparkRunner", "--spark_master_url=spark://far:7077"]
    options = [*spark, "--environment_type=EXTERNAL", "--environment_config=far:5000"]
    if is_shared:
        check_runner(params, options, submit=False)
    else:
        assert "or to a network disk" in refuse(params, *options, submit=False).remedy
    assert "data: " in refuse(params, *DATAFLOW, submit=False).problem


@pytest.mark.parametrize("name", ["Spark", "Flink"])
def test_spark_and_flink_without_java_or_their_jar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    params, runner = flows.params(tmp_path, 1), f"--runner={name}Runner"
    cache = f"--jar_cache_dir={tmp_path}"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "there is no java" in refuse(params, runner).problem
    monkeypatch.setattr(shutil, "which", lambda java: java)
    error = refuse(params, runner, cache)
    assert f"its job server, beam-runners-{name.lower()}-" in error.problem
    option = f"--{name.lower()}_job_server_jar"
    assert f"Maven Central (org.apache.beam), and set {option} to the file" in error.remedy
    assert "no such file" in refuse(params, runner, f"{option}=/no/such.jar").problem
    jar = tmp_path / error.problem.split("job server, ")[1].split(",")[0]
    jar.touch()
    for given in (cache, f"{option}={jar}"):
        check_runner(params, [runner, given])


def test_a_portable_runner_without_a_job_server(remote: Params) -> None:
    error = refuse(remote, "--runner=PortableRunner")
    assert "no job server is named" in error.problem
    with socket.socket() as closed:
        closed.bind(("localhost", 0))
        endpoint = f"--job_endpoint=localhost:{closed.getsockname()[1]}"
        error = refuse(remote, "--runner=PortableRunner", endpoint)
    assert "no job server can be reached there" in error.problem
    assert "can be reached" in refuse(remote, PORTABLE[0], "--job_endpoint=nothing").problem


def test_a_portable_runner_without_an_environment(remote: Params, java: None) -> None:
    for options in (PORTABLE, ["--runner=SparkRunner", "--spark_master_url=spark://far:7077"]):
        assert "--environment_type is not set" in refuse(remote, *options).problem
        for kind in ("DOCKER", "PROCESS", "EXTERNAL"):
            error = refuse(remote, *options, f"--environment_type={kind}")
            assert error.problem.endswith("without --environment_config")
    options = [*PORTABLE, "--environment_type=DOCKER"]
    check_runner(remote, [*options, "--environment_option=docker_container_image=image"])


def test_workers_on_this_machine_may_use_its_paths(tmp_path: Path) -> None:
    params = flows.params(tmp_path, 1)
    check_runner(params, [*PORTABLE, "--environment_type=LOOPBACK"])
    for runner in ("SparkRunner", "FlinkRunner"):
        check_runner(params, [f"--runner={runner}"], submit=False)


def test_a_dry_run_shows_what_would_be_submitted_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {name: {"engine": "transformers", "model": "no/such"} for name in ("policy", "x")}
    judge = {"judges": [{"kind": "pairwise", "model": "x"}]}
    sources = {"sources": [{"path": "gs://my-bucket/prompts.jsonl"}]}
    path = flows.write_params(tmp_path, models=models, judge=judge, ingest=sources, **REMOTE)
    command = ["run", "--dry-run", "--params", str(path), *DATAFLOW]
    assert main([*command, "--json"]) == 0
    shown = orjson.loads(capsys.readouterr().out)
    assert shown["runner"] == "DataflowRunner"
    assert shown["options"] == DATAFLOW[1:]
    jobs = {job["stage"]: job for job in shown["jobs"]}
    assert [*jobs][:: len(jobs) - 1] == ["ingest", "export"]
    assert all(job["environments"] == ["image:1"] for job in jobs.values())
    assert jobs["generate"]["steps"][-3:] == ["generate", "Count, once", "Count"]
    assert [jobs[name]["shuffles"] for name in ("generate", "filter")] == [1, 4]
    assert all(job["bytes"] > 10_000 for job in jobs.values())
    assert main(command) == 0
    assert "workers run in: image:1" in capsys.readouterr().out
    assert main(["run", "--dry-run", "--params", str(path), "--runner=DataflowRunner"]) == 2
    assert "--project is not set" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]
