"""Dropped records by stage, reason, source and split, counted from small tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from prefdata.accounting.drops import MOST_SOURCES, OTHERS, UNKNOWN, count_drops, tabulate_drops
from prefdata.records import SCHEMA_VERSION, Dropped, Prompt, Record
from prefdata.records.base import fill_columns, polars_schema
from prefdata.tables import Table, TableInfo, begin, bucket_of, finish, write_bucket

BUCKETS = 2
PROMPTS = [f"{n}{'0' * 31}" for n in "0189"]
"""Two in each bucket."""


def write(folder: Path, record: type[Record], rows: Sequence[dict[str, Any]], **info: Any) -> Table:
    """A finished table; a row without a prompt's id is in the first bucket."""
    table = Table(str(folder), record)
    begin(table)
    files = []
    for bucket in range(BUCKETS):
        own = [row for row in rows if find_bucket(row) == bucket]
        frame = fill_columns(pl.DataFrame(own, schema_overrides=polars_schema(record)), record)
        files.append(write_bucket(table, bucket, BUCKETS, frame))
    made = {"schema_version": SCHEMA_VERSION, "buckets": BUCKETS, "unit": "rows", "rows_in": 0}
    counts = {"record": record.__name__, "rows": len(rows), "rows_out": 0, "files": files}
    finish(table, TableInfo.model_validate({**made, **counts, **info}))
    return table


def find_bucket(row: dict[str, Any]) -> int:
    key = row.get("prompt_id", row.get("origin", ""))
    return bucket_of(key, BUCKETS) if key in PROMPTS else 0


def drop(origin: str, reason: str, record: str = "{}") -> dict[str, Any]:
    row = {"stage": "", "reason": reason, "detail": "", "fault": False}
    return {**row, "origin": origin, "record": record}


def write_prompts(folder: Path, sources: Sequence[str]) -> Table:
    rows = [
        {
            "prompt_id": prompt,
            "messages": [],
            "source": source,
            "split": "train" if place else "test",
            "origin": f"{source}.jsonl:1",
        }
        for place, (prompt, source) in enumerate(zip(PROMPTS, sources, strict=True))
    ]
    return write(folder, Prompt, rows)


def test_every_dropped_record_is_counted_once_by_source_and_split(tmp_path: Path) -> None:
    one, two, three, four = PROMPTS
    prompts = write_prompts(tmp_path / "prompts", ["web", "web", "code", "code"])
    tables = {
        "ingest": [
            drop("bad.jsonl:12", "no_prompt", '"{\\"promt\\": 1}"'),
            drop(one, "duplicate", '{"messages":[],"source":"book","origin":"b.jsonl:3"}'),
        ],
        "consensus": [drop(p, "disagreement") for p in (one, one, three)],
        "augment": [
            drop(two, "timeout", '{"pair_id":"x"}'),
            drop(two, "timeout", '{"pair_id":"x","column":"rationale","value":"…"}'),
        ],
        "export": [drop(four, "too_long", f'{{"export":"{name}"}}') for name in ("trl", "openai")],
    }
    dropped = {
        name: write(
            tmp_path / name, Dropped, rows, dropped_values={"r: t": 1} if "au" in name else {}
        )
        for name, rows in tables.items()
    }
    dropped["ches"] = Table(str(tmp_path / "ches"), Dropped)
    counts = count_drops(dropped, prompts)
    assert counts.rows() == [
        ("augment", "", "timeout", "web", "train", 1),
        ("consensus", "", "disagreement", "code", "train", 1),
        ("consensus", "", "disagreement", "web", "test", 2),
        ("export", "openai", "too_long", "code", "train", 1),
        ("export", "trl", "too_long", "code", "train", 1),
        ("ingest", "", "duplicate", "book", "test", 1),
        ("ingest", "", "no_prompt", "bad.jsonl", UNKNOWN, 1),
    ]
    own = counts.filter(stage="consensus")
    assert tabulate_drops(own, "source") == {
        "code": {"disagreement": 1},
        "web": {"disagreement": 2},
    }
    assert tabulate_drops(own, "split") == {
        "test": {"disagreement": 2},
        "train": {"disagreement": 1},
    }


def test_small_sources_are_counted_together(tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts", ["web"] * 4)
    rows = [drop(f"{n:03}.jsonl:{row}", "no_prompt") for n in range(60) for row in range(n)]
    counts = count_drops({"ingest": write(tmp_path / "ingest", Dropped, rows)}, prompts)
    by_source = tabulate_drops(counts, "source")
    small = sum(n for n in range(60 - MOST_SOURCES))
    assert by_source.pop(OTHERS) == {"no_prompt": small}
    assert by_source == {f"{n:03}.jsonl": {"no_prompt": n} for n in range(10, 60)}


def test_nothing_dropped_is_no_row(tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts", ["web"] * 4)
    assert count_drops({"ingest": write(tmp_path / "ingest", Dropped, [])}, prompts).rows() == []
    assert count_drops({}, prompts).rows() == []
