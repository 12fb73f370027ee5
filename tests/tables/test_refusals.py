"""Tables that may not be read, or written over."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import flows
import pytest

from prefdata.cli import app as cli
from prefdata.dataset.manifest import read_manifest
from prefdata.errors import TableError
from prefdata.records import SCHEMA_VERSION, Prompt
from prefdata.records.base import OLDEST_VERSION
from prefdata.tables import Table, begin, read_bucket, read_info, read_table


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder after ingest, in two buckets."""
    folder = tmp_path_factory.mktemp("ingested")
    flows.write_prompts(folder, 6)
    params = str(flows.write_params(folder, buckets=2))
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 0
    return folder / "data"


@pytest.fixture
def params(ingested: Path, tmp_path: Path) -> str:
    """params.yaml of a flow of its own whose prompts were ingested."""
    shutil.copytree(ingested, tmp_path / "data")
    flows.write_prompts(tmp_path, 6)
    return str(flows.write_params(tmp_path, buckets=2))


@pytest.fixture
def prompts(params: str, tmp_path: Path) -> Table:
    """The ingested prompts."""
    assert params
    return Table(str(tmp_path / "data" / "prompts"), Prompt)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def fails(capsys: pytest.CaptureFixture[str], params: str, command: str, code: int = 1) -> str:
    """What the command says as it stops."""
    capsys.readouterr()
    assert cli.main([command, "--params", params, "--quiet"]) == code
    said = capsys.readouterr().err
    assert said.startswith(f"prefdata {command}: ")
    return said


@pytest.mark.parametrize("version", [OLDEST_VERSION - 1, SCHEMA_VERSION + 1])
def test_another_schema_version_is_neither_read_nor_overwritten(
    prompts: Table, params: str, capsys: pytest.CaptureFixture[str], version: int
) -> None:
    edit(Path(prompts.info_path), schema_version=version, more="of another version")
    before = {p.name: p.read_bytes() for p in Path(prompts.folder).iterdir()}
    expected = f"written with schema version {version}, this is {SCHEMA_VERSION}"

    with pytest.raises(TableError, match=expected) as caught:
        read_table(prompts)
    assert "Write it again" in caught.value.remedy
    assert expected in fails(capsys, params, "generate")

    with pytest.raises(TableError, match=expected) as caught:
        begin(prompts)
    assert "Move the folder away" in caught.value.remedy
    said = fails(capsys, params, "ingest")
    assert expected in said
    assert "remedy: Move the folder away, or set `data` to a new one." in said
    assert {p.name: p.read_bytes() for p in Path(prompts.folder).iterdir()} == before


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"schema_version": null}'])
def test_a_mark_that_says_no_version_is_refused(prompts: Table, content: str) -> None:
    Path(prompts.info_path).write_text(content)
    for use in (read_info, begin):
        with pytest.raises(TableError, match="written with schema version"):
            use(prompts)


def test_a_mark_of_this_version_without_its_counts_is_refused(prompts: Table) -> None:
    Path(prompts.info_path).write_text(json.dumps({"schema_version": SCHEMA_VERSION}))
    with pytest.raises(TableError, match=r"_table\.json: not what a stage writes") as caught:
        read_info(prompts)
    assert "Run the stage again" in caught.value.remedy


def test_a_table_without_its_mark_is_unfinished(
    prompts: Table, params: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(prompts.info_path).unlink()
    said = fails(capsys, params, "generate")
    assert f"{prompts.folder}: no finished table here" in said
    assert "remedy: Run the stage that writes it" in said
    assert not (Path(prompts.folder).parent / "responses").exists()


def test_a_missing_bucket_is_named(
    prompts: Table, params: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(prompts.bucket_path(1, 2)).unlink()
    said = fails(capsys, params, "generate")
    assert "bucket-00001-of-00002.parquet: missing, though the table is marked whole" in said
    assert "remedy: Restore the file, or run the stage again." in said
    responses = Path(prompts.folder).parent / "responses"
    assert not (responses / "_table.json").exists()


@pytest.mark.parametrize("keep", [0, 100, -20])
def test_a_damaged_bucket_is_named(
    prompts: Table, params: str, capsys: pytest.CaptureFixture[str], keep: int
) -> None:
    path = Path(prompts.bucket_path(0, 2))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TableError, match=r"bucket-00000-of-00002\.parquet: damaged"):
        read_bucket(prompts, 0, read_info(prompts))
    said = fails(capsys, params, "generate")
    assert "bucket-00000-of-00002.parquet: damaged" in said
    assert "remedy: Restore the file, or run the stage again." in said


def test_status_shows_what_is_there_and_what_is_not(
    params: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert cli.main(["status", "--params", params]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^ingest +rows +6 +6 +0", said, re.MULTILINE)
    assert "generate" not in said


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after a whole run, its dataset then marked as another schema version's."""
    folder = tmp_path_factory.mktemp("exported")
    flows.write_prompts(folder, 6)
    params = str(flows.write_params(folder, buckets=1))
    assert cli.main(["run", "--params", params, "--quiet"]) == 0
    manifest = flows.find_version(folder) / "manifest.json"
    edit(manifest, schema_version=SCHEMA_VERSION + 1)
    mark = hashlib.sha256(manifest.read_bytes()).hexdigest()
    (manifest.parent / "COMPLETED").write_text(f"{mark}\n")
    return folder


def test_a_dataset_of_another_schema_version_is_not_overwritten(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = exported / "data" / "dataset"
    before = {p: p.read_bytes() for p in dataset.rglob("*") if p.is_file()}
    said = fails(capsys, str(exported / "params.yaml"), "export")
    assert f"holds a dataset of schema version {SCHEMA_VERSION + 1}" in said
    assert f"this is {SCHEMA_VERSION}" in said
    assert "remedy: Move the folder away" in said
    assert {p: p.read_bytes() for p in dataset.rglob("*") if p.is_file()} == before


def test_a_dataset_of_another_schema_version_is_not_read(exported: Path) -> None:
    with pytest.raises(TableError, match=f"schema version {SCHEMA_VERSION + 1}"):
        read_manifest(str(exported / "data" / "dataset"))


def test_a_damaged_mark_is_no_mark(exported: Path) -> None:
    folder = flows.find_version(exported)
    edit(folder / "manifest.json", schema_version=SCHEMA_VERSION)
    (folder / "COMPLETED").write_bytes(b"\xe5" * 64)
    with pytest.raises(TableError, match="not the one that was completed"):
        read_manifest(str(folder))
