"""Faulty rows among good ones, through the command: each is dropped with its reason and origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

from prefdata.cli import app as cli
from prefdata.records import Dropped, Prompt
from prefdata.tables import Table, read_info, read_table

GOOD = [b'{"prompt":"Question %d?"}' % i for i in range(9)]
CHAT = b'{"messages":[%s]}'
USER = b'{"role":"user","content":"Hi"}'
ASSISTANT = b'{"role":"assistant","content":"Hello"}'
SYSTEM = b'{"role":"system","content":"Be brief."}'


def ingest(folder: Path, limit: float, **settings: Any) -> int:
    """`prefdata ingest` of FOLDER/prompts.jsonl; the exit code."""
    source = {"path": str(folder / "prompts.jsonl"), **settings}
    section = {"sources": [source], "max_faulty_fraction": limit}
    params = flows.write_params(folder, ingest=section, buckets=2)
    return cli.main(["ingest", "--params", str(params), "--quiet"])


def table(folder: Path, name: str, record: Any) -> pl.DataFrame:
    return read_table(Table(str(folder / "data" / name), record))


BAD_ROWS = [
    pytest.param(b'{"prompt": "Hi"', "invalid_json", "line 1 column", id="broken JSON"),
    pytest.param(b'{"text": "Hi"}', "missing_field", "found: text", id="missing field"),
    pytest.param(b'{"messages": []}', "empty_conversation", "no message", id="no message"),
    pytest.param(b'{"prompt": " \\n"}', "empty_message", "message 1 (user)", id="empty message"),
    pytest.param(
        CHAT % b",".join([USER, USER]),
        "roles_out_of_turn",
        "message 2 is user, expected assistant",
        id="two roles in a row",
    ),
    pytest.param(
        CHAT % b'{"role":"critic","content":"Hi"}',
        "unknown_role",
        "role 'critic'",
        id="unknown role",
    ),
    pytest.param(
        CHAT % b",".join([USER, SYSTEM, USER]),
        "roles_out_of_turn",
        "message 2 is system",
        id="system turn later on",
    ),
    pytest.param(
        CHAT % b",".join([USER, ASSISTANT]),
        "ends_without_user",
        "ends with a user's message",
        id="ends with the assistant",
    ),
    pytest.param(rb'{"prompt": "a\ud800"}', "invalid_unicode", "surrogate", id="lone surrogate"),
    pytest.param(rb'{"prompt": "a\u0000"}', "nul_character", "message 1 (user)", id="NUL"),
    pytest.param(b'{"prompt": "caf\xe9"}', "invalid_unicode", "not UTF-8", id="not UTF-8"),
    pytest.param(b"17", "not_an_object", "found int", id="a number"),
    pytest.param(
        b'{"prompt": "' + b"x" * (1 << 20) + b'"}',
        "too_long",
        "1048576 characters, max_prompt_chars is 100000 Raise ingest.max_prompt_chars",
        id="a prompt of 1 MB",
    ),
]


@pytest.mark.parametrize(("line", "reason", "detail"), BAD_ROWS)
def test_a_bad_row_is_set_aside_and_the_good_ones_go_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: bytes,
    reason: str,
    detail: str,
) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b"\n".join([*GOOD[:6], line, *GOOD[6:]]) + b"\n")
    assert ingest(tmp_path, limit=0.1) == 0
    assert capsys.readouterr().err == ""

    prompts = table(tmp_path, "prompts", Prompt)
    assert {m["content"] for (m,) in prompts["messages"]} == {f"Question {i}?" for i in range(9)}
    assert f"{path}:7" not in set(prompts["origin"])

    (row,) = table(tmp_path, "dropped/ingest", Dropped).to_dicts()
    assert (row["stage"], row["reason"], row["fault"]) == ("ingest", reason, True)
    assert row["origin"] == f"{path}:7"
    assert detail in row["detail"]
    kept = orjson.loads(row["record"])
    assert kept.startswith(line[:40].decode("utf-8", "backslashreplace"))
    info = read_info(Table(str(tmp_path / "data" / "prompts"), Prompt))
    assert (info.rows_in, info.rows_out, info.dropped) == (10, 9, {reason: 1})


def test_too_many_faults_stop_the_flow_once_all_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [b'{"prompt": "Hi"', b"17", b"18"]
    (tmp_path / "prompts.jsonl").write_bytes(b"\n".join([*GOOD, *bad]))
    assert ingest(tmp_path, limit=0.2) == 3
    said = capsys.readouterr().err
    assert said.startswith("prefdata ingest: ingest: 3 of 12 are faulty")
    assert "more than max_faulty_fraction = 0.2 (invalid_json 1, not_an_object 2)" in said
    assert f"\n  {tmp_path}/prompts.jsonl:11: not_an_object: " in said
    assert f"remedy: All are in {tmp_path}/data/dropped/ingest" in said
    assert "raise ingest.max_faulty_fraction" in said
    assert table(tmp_path, "prompts", Prompt).height == 9
    dropped = table(tmp_path, "dropped/ingest", Dropped)
    places = {f"{tmp_path}/prompts.jsonl:{n}" for n in (10, 11, 12)}
    assert set(dropped["origin"]) == places


def test_a_whole_run_stops_after_the_stage_with_too_many_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(b"\n".join([*GOOD, b"{", b"{"]))
    params = flows.write_params(tmp_path)
    assert cli.main(["run", "--params", str(params), "--quiet"]) == 3
    assert "2 of 11 are faulty" in capsys.readouterr().err
    assert (tmp_path / "data" / "prompts" / "_table.json").exists()
    assert not (tmp_path / "data" / "responses").exists()


@pytest.mark.parametrize(("limit", "code"), [(0.25, 0), (0.2499, 3), (0, 3), (1, 0)])
def test_the_limit_itself_is_allowed(tmp_path: Path, limit: float, code: int) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(b"\n".join([*GOOD[:3], b"{"]))
    assert ingest(tmp_path, limit) == code


def test_duplicates_are_no_faults(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b"\n".join([*GOOD, GOOD[4], b'"Question 4?\\r\\n"']))
    assert ingest(tmp_path, limit=0) == 0
    dropped = table(tmp_path, "dropped/ingest", Dropped)
    kept = table(tmp_path, "prompts", Prompt).filter(pl.col("origin") == f"{path}:5")
    assert dropped["reason"].to_list() == ["duplicate"] * 2
    assert not dropped["fault"].any()
    assert set(dropped["detail"]) == {f"the same prompt stands at {path}:5"}
    assert set(dropped["origin"]) == set(kept["prompt_id"])
    origins = {orjson.loads(record)["origin"] for record in dropped["record"]}
    assert origins == {f"{path}:10", f"{path}:11"}


def test_crlf_and_unicode_line_separators_cut_no_row(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes('{"prompt":"a\u2028b"}\r\n"a bare string\u0085"\r\n{\r\n'.encode())
    assert ingest(tmp_path, limit=0.5) == 0
    prompts = table(tmp_path, "prompts", Prompt)
    found = {origin: m["content"] for origin, (m,) in prompts.select("origin", "messages").rows()}
    assert found == {f"{path}:1": "a\u2028b", f"{path}:2": "a bare string"}
    assert table(tmp_path, "dropped/ingest", Dropped)["origin"].to_list() == [f"{path}:3"]


def test_hh_transcripts_that_are_none_are_set_aside(tmp_path: Path) -> None:
    shared = "\n\nHuman: A tool?\n\nAssistant: A ham"
    good = {"chosen": f"{shared}mer", "dropped": f"{shared}ster"}
    bad = {"chosen": "\n\nAssistant: Hello", "dropped": "\n\nAssistant: Go"}
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(row) for row in (bad, good)))
    assert ingest(tmp_path, limit=0.5, kind="hh") == 0
    (prompt,) = table(tmp_path, "prompts", Prompt).to_dicts()
    assert [(m["role"], m["content"]) for m in prompt["messages"]] == [("user", "A tool?")]
    (row,) = table(tmp_path, "dropped/ingest", Dropped).to_dicts()
    assert (row["reason"], row["origin"]) == ("not_a_transcript", f"{path}:1")


def test_an_empty_file_gives_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(b"\n \n")
    assert ingest(tmp_path, limit=0) == 0
    assert table(tmp_path, "prompts", Prompt).height == 0
    assert table(tmp_path, "dropped/ingest", Dropped).height == 0


def test_neither_the_files_order_nor_the_bucketing_changes_the_prompts(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    a.write_bytes(b"\n".join([*GOOD[:6], b"{"]))
    b.write_bytes(b"\n".join(GOOD[4:]))
    found = []
    for number, (order, buckets) in enumerate([((a, b), 1), ((b, a), 1), ((b, a), 8)]):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        section = {
            "sources": [{"path": str(path)} for path in order],
            "max_faulty_fraction": 1,
            "test_fraction": 0.5,
        }
        params = flows.write_params(folder, ingest=section, buckets=buckets)
        assert cli.main(["ingest", "--params", str(params), "--quiet"]) == 0
        found.append(table(folder, "prompts", Prompt).select("prompt_id", "messages", "split"))
        dropped = table(folder, "dropped/ingest", Dropped)
        assert sorted(dropped["reason"]) == ["duplicate", "duplicate", "invalid_json"]
    assert found[0].height == 9
    assert set(found[0]["split"]) == {"train", "test"}
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
