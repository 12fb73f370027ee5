"""Writing tables: atomic, sorted, schema-checked, and the same bytes for the same rows."""

from __future__ import annotations

import hashlib
from functools import cache

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.files.json_files import write_model
from prefdata.records.base import (
    OLDEST_VERSION,
    SCHEMA_VERSION,
    Record,
    arrow_schema,
    parquet_schema,
    polars_schema,
)
from prefdata.tables.layout import FileInfo, Table, TableInfo


def begin(table: Table) -> None:
    """Open the folder for writing; from here on the table counts as unfinished.

    Refuses a folder that a schema version finished which this one does not read, so that nothing
    is overwritten by mistake.
    """
    storage.make_folder(table.folder)
    content = storage.read_bytes(table.info_path)
    if content is not None:
        version = schema_version(content)
        if not is_readable(version):
            raise TableError(
                f"{table.folder}: written with schema version {version}, this is {SCHEMA_VERSION}",
                "Move the folder away, or set `data` to a new one.",
            )
    storage.remove(table.info_path)


def write_bucket(table: Table, bucket: int, buckets: int, rows: pl.DataFrame) -> FileInfo:
    """Sort the rows, check them against the record, and put the bucket's file in place. Returns
    what `finish` is to know of it."""
    path = table.bucket_path(bucket, buckets)
    content = encode(table.record, rows, where=path) if rows.height else _empty(table.record)
    storage.write_bytes(path, content, durable=False)
    return FileInfo(rows=rows.height, sha256=hashlib.sha256(content).hexdigest())


@cache
def _empty(record: type[Record]) -> memoryview:
    """The bytes of a bucket without rows, cached: most buckets of dropped records are empty."""
    return encode(record, pl.DataFrame(schema=polars_schema(record)), where=record.__name__)


def encode(record: type[Record], rows: pl.DataFrame, where: str) -> memoryview:
    """Parquet bytes of the rows, sorted and in the record's schema.

    Args:
        record: What each row is.
        rows: In any order; the columns exactly those of the record.
        where: Heads the errors, such as the file's path.

    Raises:
        TableError: The rows don't fit the record.
    """
    stored = fit_rows(record, rows, where).cast(parquet_schema(record))
    sink = pa.BufferOutputStream()
    pq.write_table(stored, sink, compression="zstd", row_group_size=65_536)
    return memoryview(sink.getvalue())


def fit_rows(record: type[Record], rows: pl.DataFrame, where: str) -> pa.Table:
    """The rows sorted and in the record's schema; see `encode`."""
    schema = arrow_schema(record)
    wrong = set(schema.names) ^ set(rows.columns)
    if wrong:
        raise TableError(f"{where}: columns {sorted(wrong)} don't fit {record.__name__}")
    ordered = rows.select(schema.names).sort(record.sort_by)
    try:
        arrow = ordered.to_arrow().cast(schema)
    except (pa.lib.ArrowException, ValueError) as error:
        raise TableError(f"{where}: rows don't fit {record.__name__}: {error}") from error
    for field in schema:
        if not field.nullable and arrow.column(field.name).null_count:
            raise TableError(f"{where}: column {field.name} of {record.__name__} holds nulls")
    return arrow


def finish(table: Table, info: TableInfo) -> None:
    """Remove the files of an earlier bucketing, then mark the table whole."""
    paths = [table.bucket_path(bucket, info.buckets) for bucket in range(info.buckets)]
    for path in paths:
        storage.sync(path)
    current = {path.rsplit("/", 1)[-1] for path in paths}
    for name in storage.list_names(table.folder):
        if name.endswith((".parquet", ".tmp")) and name not in current:
            storage.remove(storage.join(table.folder, name))
    write_model(table.info_path, info.sign())


def write_table(table: Table, rows: pl.DataFrame, unit: str) -> None:
    """Write a table whole, in one bucket.

    Args:
        table: The table.
        rows: All its rows.
        unit: What they count, such as responses.
    """
    begin(table)
    file = write_bucket(table, 0, 1, rows)
    finish(
        table,
        TableInfo(
            record=table.record.__name__,
            schema_version=SCHEMA_VERSION,
            buckets=1,
            rows=rows.height,
            rows_in=rows.height,
            rows_out=rows.height,
            unit=unit,
            files=[file],
        ),
    )


def schema_version(info: bytes) -> object:
    """The schema version in a table's info, even if the other fields are of a later version."""
    import orjson

    try:
        return orjson.loads(info).get("schema_version")
    except (orjson.JSONDecodeError, AttributeError):
        return "unreadable"


def is_readable(version: object) -> bool:
    """Whether a table or dataset of this schema version is read: as it is, or by a migration."""
    return isinstance(version, int) and OLDEST_VERSION <= version <= SCHEMA_VERSION
