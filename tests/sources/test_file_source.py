"""Sources that read one file: which rows they take, and when a file is refused as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefdata.errors import ConfigError, SourceError
from prefdata.sources.base import Source
from prefdata.sources.registry import SOURCES


def source(path: Path | str, content: bytes = b"", **settings: Any) -> Source:
    if content:
        Path(path).write_bytes(content)
    return SOURCES.parse({"kind": "prompts", "path": str(path), **settings})


def prompts(one: Source) -> list[Any]:
    """The text of each row's last turn; the reason in place of a dropped row's."""
    found = [frame for frames in one.read(0, 0.1, 1000) for frame in frames]
    texts = [turns[-1]["content"] for rows in found[::2] for turns in rows["messages"]]
    return texts + [reason for rows in found[1::2] for reason in rows["reason"]]


@pytest.mark.parametrize("name", ["a.csv", "a", "a.gz", "a.parquet.zip"])
def test_an_unknown_ending_needs_the_format_setting(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b'{"prompt":"a"}')
    for act in (Source.check, Source.count_rows):
        with pytest.raises(SourceError) as caught:
            getattr(source(path), act.__name__)()
        assert caught.value.problem.startswith(f"{path}: can't tell its format from its name")
        assert "jsonl, json or parquet" in caught.value.remedy
    source(tmp_path / "a.csv", b'{"prompt":"a"}', format="jsonl").check()
    assert prompts(source(tmp_path / "a.csv", format="jsonl")) == ["a"]


def test_a_bare_string_is_a_prompt_whatever_the_field_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert prompts(source(path, b'"Hi"\n')) == ["Hi"]
    assert prompts(source(path, prompt_field="question")) == ["Hi"]


def test_limit_reads_the_first_rows_alone(tmp_path: Path) -> None:
    rows = source(tmp_path / "a.jsonl", b'"a"\n"b"\n"c"\n', limit=2)
    assert prompts(rows) == ["a", "b"]
    assert rows.count_rows() == 2
    with pytest.raises(ConfigError, match="limit: Input should be greater than 0"):
        source(tmp_path / "a.jsonl", limit=0)


def test_parquet_without_the_wanted_columns_lists_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), path)
    for read in (Source.check, Source.count_rows, prompts):
        with pytest.raises(SourceError) as caught:
            read(source(path)) if read is prompts else getattr(source(path), read.__name__)()
        assert "no column 'prompt' or 'messages'; it has: answer, question" in caught.value.problem
        assert "prompt_field or messages_field" in caught.value.remedy
    assert prompts(source(path, prompt_field="question")) == ["a"]
    with pytest.raises(SourceError, match="no column 'chosen'; it has: answer, question"):
        SOURCES.parse({"kind": "hh", "path": str(path)}).check()


def test_parquet_text_messages_and_nulls(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Hi"}]
    table = pa.table({"prompt": ["a", None], "messages": [None, chat], "other": [1, 2]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = source(tmp_path / "a.parquet")
    assert [row.value for row in rows.rows()] == [
        {"messages": None, "prompt": "a"},
        {"messages": chat, "prompt": None},
    ]
    assert prompts(rows) == ["a", "Hi"]


def test_what_cannot_be_opened_is_said_before_any_work(tmp_path: Path) -> None:
    for kind in ("prompts", "hh"):
        with pytest.raises(SourceError, match="can't be opened"):
            SOURCES.parse({"kind": kind, "path": str(tmp_path / "absent.jsonl")}).check()
