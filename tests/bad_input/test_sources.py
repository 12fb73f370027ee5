"""Source files that can't be read at all: the command stops and says what to change."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import flows
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefdata.cli import app as cli


def stopped(
    folder: Path, capsys: pytest.CaptureFixture[str], source: dict[str, Any], code: int = 2
) -> str:
    """What `prefdata ingest` says of the source, having stopped before it wrote anything."""
    params = flows.write_params(folder, ingest={"sources": [source]}, buckets="auto")
    assert cli.main(["ingest", "--params", str(params), "--quiet"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"prefdata ingest: {source['path']}: ")
    assert "Traceback" not in captured.err
    assert not (folder / "data").exists()
    return captured.err


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = stopped(tmp_path, capsys, {"path": str(tmp_path / "absent.jsonl")})
    assert "can't be opened" in said
    assert "remedy: Check the path; it is relative to where the command runs." in said


def test_an_unknown_file_ending(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prompts.csv").write_text("prompt\nHi\n")
    said = stopped(tmp_path, capsys, {"path": str(tmp_path / "prompts.csv")})
    assert "can't tell its format from its name" in said
    assert "remedy: Set the source's format: jsonl, json or parquet." in said


def test_a_truncated_gzip_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "prompts.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"prompt":"Hi"}\n' * 1000)[:-12])
    said = stopped(tmp_path, capsys, {"path": str(path)}, code=1)
    assert "can't be read to its end" in said
    assert "remedy: The file is cut off or damaged: get it again." in said


def test_a_parquet_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prompts.parquet").write_text('{"prompt":"Hi"}\n')
    said = stopped(tmp_path, capsys, {"path": str(tmp_path / "prompts.parquet")})
    assert "not a Parquet file" in said


def test_a_parquet_file_with_other_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"question": ["Why?"], "answer": ["Because."]}), path)
    said = stopped(tmp_path, capsys, {"path": str(path)})
    assert "has no column 'prompt' or 'messages'; it has: answer, question" in said
    assert "remedy: Set prompt_field or messages_field of the source" in said

    source = {"path": str(path), "prompt_field": "question"}
    params = flows.write_params(tmp_path, ingest={"sources": [source]})
    assert cli.main(["ingest", "--params", str(params), "--quiet"]) == 0


def test_a_source_that_got_lost_leaves_the_finished_table_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = flows.write_prompts(tmp_path, 4)
    params = str(flows.write_params(tmp_path))
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 0
    before = {p: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()}
    path.unlink()
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 2
    assert "can't be opened" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()} == before


def test_the_stages_after_ingest_do_not_need_the_source(tmp_path: Path) -> None:
    path = flows.write_prompts(tmp_path, 4)
    params = str(flows.write_params(tmp_path))
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 0
    path.unlink()
    assert cli.main(["generate", "--params", params, "--quiet"]) == 0
