"""The rows of a version's files, read piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.manifest import ExportEntry, FileEntry
from prefdata.dataset.verification.files import describe_damage
from prefdata.errors import PrefdataError
from prefdata.files import storage
from prefdata.records.base import Record, parquet_schema, polars_schema

_LINES = 4096
"""Lines of a JSONL file that are read at once."""
_PIECE = 1 << 20


def find_record(entry: ExportEntry) -> type[Record] | None:
    """The record of the export's rows as this version of prefdata has it; None: its kind is not
    known here."""
    with suppress(PrefdataError):
        export = EXPORTS.parse(entry.settings or {"kind": entry.kind})
        return export.structured if entry.structure and export.structured else export.record
    return None


@dataclass(frozen=True)
class FileRows:
    """A file of rows, as it is found.

    Attributes:
        problem: What is wrong with the file as a whole; empty: nothing.
        pieces: Its rows; of JSONL whose types are not known, a column of lines. Raises what the
            readers raise where the content is not what the file's name says.
        typed: Whether the rows have the columns that were written.
    """

    problem: str
    pieces: Iterator[pl.DataFrame]
    typed: bool


def read_rows(
    folder: str,
    file: FileEntry,
    record: type[Record] | None,
    columns: Collection[str] | None = None,
) -> FileRows:
    """The file, without rows where it is missing or damaged.

    Args:
        folder: The version's folder.
        file: The file, as the manifest has it.
        record: The record of its rows; None: not known here.
        columns: Those to read, as far as they are there; None: all.
    """
    path = storage.join(folder, file.path)
    if file.path.endswith(".parquet"):
        content = storage.read_bytes(path)
        problem = describe_damage(file, content)
        pieces = iter(()) if problem or content is None else _decode(content, columns)
        return FileRows(problem, pieces, True)
    problem = _describe_stream(path, file)
    typed = record is not None and not any(_is_json(field.type) for field in parquet_schema(record))
    schema = polars_schema(record) if record and typed else None
    lines = iter(()) if problem else _read_lines(path, schema)
    if columns is not None and schema:
        kept = [name for name in schema if name in columns]
        lines = (rows.select(kept) for rows in lines)
    return FileRows(problem, lines, typed)


def _decode(content: bytes, columns: Collection[str] | None) -> Iterator[pl.DataFrame]:
    file = pq.ParquetFile(pa.BufferReader(content))
    names = file.schema_arrow.names
    table = file.read(names if columns is None else [name for name in names if name in columns])
    texts = pa.schema(field.with_type(_as_text(field.type)) for field in table.schema)
    yield pl.DataFrame(table.cast(texts))


def _describe_stream(path: str, file: FileEntry) -> str:
    """`describe_damage` of a file that may be too large for the memory."""
    state = hashlib.sha256()
    try:
        with storage.open_file(path) as stream:
            while piece := stream.read(_PIECE):
                state.update(piece)
    except FileNotFoundError:
        return describe_damage(file, None)
    return "" if state.hexdigest() == file.sha256 else describe_damage(file, b"")


def _read_lines(path: str, schema: pl.Schema | None) -> Iterator[pl.DataFrame]:
    with storage.open_file(path) as stream:
        while lines := list(islice(stream, _LINES)):
            rows = [orjson.loads(line) for line in lines]
            yield pl.DataFrame(rows, schema=schema) if schema else pl.DataFrame({"line": lines})


def _as_text(kind: pa.DataType) -> pa.DataType:
    """The type with JSON as the text that was written, at any depth."""
    if isinstance(kind, pa.JsonType):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_text(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_as_text(kind.value_type)))
    return kind


def _is_json(kind: pa.DataType) -> bool:
    """Whether there are JSON texts in it, which JSONL keeps as values, not as they were written."""
    return bool(_as_text(kind) != kind)
