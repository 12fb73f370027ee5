"""JSONL exports as Parquet: `load_dataset` reads all configurations of a repository in one form."""

from __future__ import annotations

from itertools import islice
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.dataset.hub.publication import PARQUET
from prefdata.files import storage
from prefdata.records.base import Record, arrow_schema, parquet_schema

_LINES = 16_384
"""Lines in memory at a time, and in a row group."""


def name_parquet(path: str) -> str:
    """The path of a JSONL file's rows as Parquet."""
    return f"{PARQUET}/{path.removesuffix('.jsonl')}.parquet"


def convert_jsonl(source: str, target: str, record: type[Record]) -> None:
    """Write the rows of a JSONL file as Parquet, in their order.

    Args:
        source: The file.
        target: The path of the new one, on this machine.
        record: What each row is. What it has as JSON text is a value in JSONL, and JSON in Parquet.
    """
    texts, stored = arrow_schema(record), parquet_schema(record)
    with (
        storage.open_file(source) as file,
        pq.ParquetWriter(target, stored, compression="zstd") as writer,
    ):
        while lines := list(islice(file, _LINES)):
            rows = [_fill(orjson.loads(line), stored) for line in lines]
            writer.write_table(pa.Table.from_pylist(rows, schema=texts).cast(stored))


def _fill(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    return {field.name: _to_text(row.get(field.name), field.type) for field in schema}


def _to_text(value: Any, kind: pa.DataType) -> Any:
    """The value, with what is JSON as its text."""
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return orjson.dumps(value).decode()
    if pa.types.is_struct(kind):
        return {field.name: _to_text(value.get(field.name), field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_to_text(item, kind.value_type) for item in value]
    return value
