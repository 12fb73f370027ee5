"""Buckets: what was written is read, and the same rows are the same bytes."""

from __future__ import annotations

import tempfile
import types
import typing
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from prefdata.errors import TableError
from prefdata.records import RECORDS, SCHEMA_VERSION, Pair, Prompt, Record
from prefdata.records.base import arrow_schema, parquet_schema, polars_schema
from prefdata.tables import (
    FileInfo,
    Table,
    TableInfo,
    begin,
    bucket_of,
    finish,
    read_info,
    read_table,
    read_unfinished,
    write_bucket,
)
from prefdata.tables.write import encode

ids = st.binary(min_size=16, max_size=16).map(bytes.hex)


def any_value(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a record's column."""
    origin, arms = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(any_value(arm) for arm in arms))
    if origin is list:
        return st.lists(any_value(arms[0]), max_size=3)
    if origin is Literal:
        return st.sampled_from(arms)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return st.fixed_dictionaries({name: any_value(f.annotation) for name, f in fields})
    return {
        str: st.text(st.characters(codec="utf-8"), max_size=10),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        type(None): st.none(),
    }[annotation]


def rows_of(record: type[Record]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of a record, no two of them alike in what orders them."""
    columns = {name: any_value(field.annotation) for name, field in record.model_fields.items()}
    if "prompt_id" in columns:
        columns["prompt_id"] = ids
    return st.lists(
        st.fixed_dictionaries(columns),
        max_size=6,
        unique_by=lambda row: tuple(row[name] for name in record.sort_by),
    )


ROWS_OF_TABLES = [r for r in RECORDS if parquet_schema(r).equals(arrow_schema(r))]
"""A record with JSON is a row of the dataset alone, which `read_bucket` does not read."""

shuffled = st.sampled_from(ROWS_OF_TABLES).flatmap(
    lambda record: rows_of(record).flatmap(
        lambda rows: st.tuples(st.just(record), st.just(rows), st.permutations(rows))
    )
)


@settings(max_examples=80)
@given(shuffled)
def test_rows_come_back_and_their_order_leaves_no_trace(
    made: tuple[type[Record], list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    record, rows, other = made
    schema = polars_schema(record)
    with tempfile.TemporaryDirectory() as folder:
        table = Table(folder, record)
        file = write_bucket(table, 0, 1, pl.DataFrame(rows, schema=schema))
        first = Path(table.bucket_path(0, 1)).read_bytes()
        back = read_unfinished(table, 0, 1)
        assert file.rows == len(rows)
        assert file.describes(first)
        write_bucket(table, 0, 1, pl.DataFrame(other, schema=schema))
        assert Path(table.bucket_path(0, 1)).read_bytes() == first
        some = read_unfinished(table, 0, 1, list(record.sort_by))
    assert back.schema == schema
    assert back.to_dicts() == sorted(rows, key=lambda row: [row[n] for n in record.sort_by])
    assert some.equals(back.select(record.sort_by))
    for row in back.to_dicts():
        assert record.model_validate(row).model_dump() == row


def prompt(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "prompt_id": f"{number * 0x1F3D5B79 % 2**32:08x}{number:024x}",
        "messages": [{"role": "user", "content": f"Question {number}"}],
        "split": "train",
        "source": "made up",
        "origin": f"made-up.jsonl:{number}",
    }
    return {**row, **changes}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=polars_schema(Prompt))


def test_neither_chunks_nor_the_order_of_columns_leave_a_trace() -> None:
    rows = sorted((prompt(n) for n in range(3000)), key=lambda row: row["prompt_id"])
    whole = encode(Prompt, frame(rows), "here")
    sorted_pieces = [frame(rows[at : at + 700]).sort("prompt_id") for at in range(0, 3000, 700)]
    in_pieces = pl.concat(sorted_pieces, rechunk=False)
    assert in_pieces.n_chunks() == 5
    assert bytes(encode(Prompt, in_pieces, "here")) == bytes(whole)
    turned = frame(rows).reverse().select(reversed(Prompt.model_fields))
    assert bytes(encode(Prompt, turned, "here")) == bytes(whole)


@pytest.mark.parametrize("record", ROWS_OF_TABLES)
def test_a_bucket_without_rows_keeps_its_columns(record: type[Record], tmp_path: Path) -> None:
    table = Table(str(tmp_path), record)
    write_bucket(table, 0, 1, pl.DataFrame(schema=polars_schema(record)))
    back = read_unfinished(table, 0, 1)
    assert back.height == 0
    assert back.schema == polars_schema(record)


@pytest.mark.parametrize("record", RECORDS)
def test_a_column_is_nullable_exactly_where_the_record_allows_none(record: type[Record]) -> None:
    for name, field in record.model_fields.items():
        allows = type(None) in typing.get_args(field.annotation)
        assert arrow_schema(record).field(name).nullable is allows


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (frame([prompt(1)]).drop("split"), "split"),
        (frame([prompt(1)]).with_columns(extra=pl.lit(1)), "extra"),
        (frame([prompt(1, split=None)]), "split"),
        (frame([prompt(1, messages=[{"role": "user", "content": None}])]), "content"),
        (frame([prompt(1)]).with_columns(messages=pl.lit("text")), "rows don't fit Prompt"),
    ],
)
def test_rows_that_are_no_such_records_are_not_written(
    rows: pl.DataFrame, found: str, tmp_path: Path
) -> None:
    table = Table(str(tmp_path), Prompt)
    with pytest.raises(TableError, match=found) as caught:
        write_bucket(table, 0, 1, rows)
    assert "bucket-00000-of-00001.parquet" in caught.value.problem
    assert list(tmp_path.iterdir()) == []


def write_table(folder: Path, rows: list[dict[str, Any]], buckets: int) -> Table:
    table = Table(str(folder), Prompt)
    begin(table)
    files = []
    for bucket in range(buckets):
        inside = [row for row in rows if bucket_of(row["prompt_id"], buckets) == bucket]
        files.append(write_bucket(table, bucket, buckets, frame(inside)))
    finish(table, info(buckets, len(rows), files))
    return table


def info(buckets: int, rows: int, files: list[FileInfo]) -> TableInfo:
    return TableInfo(
        record="Prompt",
        schema_version=SCHEMA_VERSION,
        buckets=buckets,
        rows=rows,
        rows_in=rows,
        rows_out=rows,
        unit="rows",
        files=files,
    )


def test_a_table_reads_the_same_whatever_its_bucketing(tmp_path: Path) -> None:
    rows = [prompt(n) for n in range(100)]
    tables = [read_table(write_table(tmp_path / f"{b}", rows, b)) for b in (1, 4, 32)]
    assert tables[0].height == 100
    assert tables[0]["prompt_id"].is_sorted()
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_finishing_removes_what_an_earlier_bucketing_left(tmp_path: Path) -> None:
    rows = [prompt(n) for n in range(10)]
    write_table(tmp_path, rows, 8)
    (tmp_path / "bucket-00000-of-00008.parquet.99.tmp").write_bytes(b"half a file")
    (tmp_path / "notes.txt").write_text("mine")
    table = write_table(tmp_path, rows, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "_table.json",
        "bucket-00000-of-00002.parquet",
        "bucket-00001-of-00002.parquet",
        "notes.txt",
    ]
    assert sum(file.rows for file in read_info(table).files or ()) == read_info(table).rows == 10
    assert read_table(table).height == 10


def test_writing_twice_leaves_the_same_bytes(tmp_path: Path) -> None:
    rows = [prompt(n) for n in range(10)]
    write_table(tmp_path, rows, 4)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_table(tmp_path, rows[::-1], 4)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_begin_takes_the_mark_away_and_keeps_the_rows(tmp_path: Path) -> None:
    table = write_table(tmp_path, [prompt(1)], 1)
    begin(table)
    assert [path.name for path in tmp_path.iterdir()] == ["bucket-00000-of-00001.parquet"]
    with pytest.raises(TableError, match="no finished table here"):
        read_table(table)


def test_another_records_table_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path, [prompt(1)], 1)
    with pytest.raises(TableError, match="holds Prompt, not Pair"):
        read_info(Table(str(tmp_path), Pair))
    with pytest.raises(TableError, match="columns are not those of Pair"):
        read_unfinished(Table(str(tmp_path), Pair), 0, 1)
