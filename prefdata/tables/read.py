"""Reading tables: only whole ones, of this schema version or one that is migrated to it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import ValidationError

from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.records.base import SCHEMA_VERSION, Record, polars_schema
from prefdata.tables.layout import Table, TableInfo
from prefdata.tables.migrations import list_columns, migrate
from prefdata.tables.migrations.neighbours import Neighbours, find_beside
from prefdata.tables.write import is_readable, schema_version


def read_info(table: Table) -> TableInfo:
    """The table's description.

    Raises:
        TableError: The table is missing, unfinished, of another record, or of a schema version
            that this one does not read.
    """
    content = storage.read_bytes(table.info_path)
    if content is None:
        raise TableError(
            f"{table.folder}: no finished table here ({table.info_path} is missing)",
            "Run the stage that writes it; `prefdata run` runs them all in order.",
        )
    version = schema_version(content)
    if not is_readable(version):
        raise TableError(
            f"{table.folder}: written with schema version {version}, this is {SCHEMA_VERSION}",
            "Write it again with this version, or read it with the one that wrote it.",
        )
    try:
        info = TableInfo.model_validate_json(content)
    except ValidationError as error:
        raise TableError(
            f"{table.info_path}: not what a stage writes: {error}", "Run the stage again."
        ) from error
    if info.record != table.record.__name__:
        raise TableError(f"{table.folder}: holds {info.record}, not {table.record.__name__}")
    return info


def read_bucket(
    table: Table, bucket: int, buckets: int, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """All rows of one bucket, in the record's schema; with `columns`, only these columns."""
    path = table.bucket_path(bucket, buckets)
    content = storage.read_bytes(path)
    if content is None:
        raise TableError(
            f"{path}: missing, though the table is marked whole",
            "Restore the file, or run the stage again.",
        )
    schema = polars_schema(table.record)
    wanted = schema.names() if columns is None else list(columns)
    try:
        found = pl.read_parquet_schema(content)
        is_current = found == schema
        if found not in list_columns(table.record):
            raise TableError(f"{path}: its columns are not those of {table.record.__name__}")
        rows = pl.read_parquet(content, columns=wanted if is_current else None)
    # Some damage makes the reader panic, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise TableError(
            f"{path}: damaged: {error}", "Restore the file, or run the stage again."
        ) from error
    if is_current:
        return rows
    return migrate(rows, table.record, _list_neighbours(table, bucket, buckets)).select(wanted)


def _list_neighbours(table: Table, bucket: int, buckets: int) -> Neighbours:
    def read_beside(name: str, record: type[Record]) -> pl.DataFrame:
        beside = find_beside(table, name, record)
        found = read_info(beside).buckets
        if found != buckets:
            raise TableError(
                f"{beside.folder}: {found} buckets, but {buckets} of {table.folder}, which was "
                "written with an earlier schema version and is read with it",
                "Run the stage that writes the latter again.",
            )
        return read_bucket(beside, bucket, buckets)

    return Neighbours(table.folder, lambda: read_info(table), read_beside)


def read_table(table: Table) -> pl.DataFrame:
    """The whole table, sorted by prompt id; for tables that fit in memory."""
    buckets = read_info(table).buckets
    frames = [read_bucket(table, b, buckets) for b in range(buckets)]
    return pl.concat(frames) if frames else pl.DataFrame(schema=polars_schema(table.record))


def is_finished(table: Table) -> bool:
    """Whether the table was written whole."""
    return storage.read_bytes(table.info_path) is not None
