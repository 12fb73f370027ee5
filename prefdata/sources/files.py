"""Reading the rows of a source file: JSONL (plain or .gz) and Parquet, as a stream."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.errors import DropRecord, SourceError
from prefdata.sources.config import SourceParams

READ_BYTES = 1 << 20

Row = tuple[int, bytes | str, Any]
"""Row number from 1, the row as found (for its dropped record), and the parsed value or the
DropRecord that says why it could not be parsed."""


def format_of(source: SourceParams) -> str:
    """jsonl, parquet or hh; `auto` goes by the file's name."""
    if source.format != "auto":
        return source.format
    name = source.path.removesuffix(".gz")
    if name.endswith((".jsonl", ".json", ".ndjson")):
        return "jsonl"
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    raise SourceError(
        f"{source.path}: can't tell its format from its name",
        "Set the source's format: jsonl, parquet or hh.",
    )


def check_source(source: SourceParams) -> None:
    """Raise now, before any work, what would keep the file from being opened later."""
    format_of(source)
    _open(source).close()


def read_rows(source: SourceParams) -> Iterator[Row]:
    """The rows of the file in order, at most `limit`."""
    rows = _parquet_rows(source) if format_of(source) == "parquet" else _json_rows(source)
    for row in rows:
        if source.limit is not None and row[0] > source.limit:
            return
        yield row


def count_rows(source: SourceParams) -> int:
    """How many rows the file has at most, without parsing them."""
    with _open(source) as file, _readable(source):
        if format_of(source) == "parquet":
            parquet = _parquet(source, file)
            _columns(source, parquet)
            count = int(parquet.metadata.num_rows)
        else:
            count = (
                sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(READ_BYTES), b"")) + 1
            )
    return min(count, source.limit or count)


def _json_rows(source: SourceParams) -> Iterator[Row]:
    with _open(source) as file, _readable(source):
        # By b"\n" alone: str.splitlines would also cut at U+2028 inside a JSON string.
        for number, line in enumerate(file, 1):
            line = line.rstrip(b"\r\n")
            if line.strip():
                value = parsed(line)
                if isinstance(value, str):
                    value = {source.prompt_field: value}
                yield number, line, value


def parsed(line: bytes) -> Any:
    """The value of a line of JSON, or the DropRecord that says why it has none."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        # First, because orjson speaks of surrogates here too.
        try:
            line.decode()
        except UnicodeDecodeError as broken:
            return DropRecord("invalid_unicode", f"not UTF-8: {broken}")
        if "surrogate" in str(error):
            return DropRecord("invalid_unicode", f"a lone surrogate: {error}")
        return DropRecord("invalid_json", str(error))


def _parquet_rows(source: SourceParams) -> Iterator[Row]:
    with _open(source) as file, _readable(source):
        parquet = _parquet(source, file)
        number = 0
        for batch in parquet.iter_batches(columns=_columns(source, parquet)):
            for row in _values(batch):
                number += 1
                yield number, repr(row), row


def _columns(source: SourceParams, parquet: pq.ParquetFile) -> list[str]:
    """The columns to read."""
    names = set(parquet.schema_arrow.names)
    if not {source.prompt_field, source.messages_field} & names:
        raise SourceError(
            f"{source.path}: has no column {source.prompt_field!r} or "
            f"{source.messages_field!r}; it has: {', '.join(sorted(names))}",
            "Set prompt_field or messages_field of the source to one of its columns.",
        )
    wanted = {source.prompt_field, source.messages_field, source.ground_truth_field, "source"}
    if source.annotations is not None:
        wanted |= set(source.annotations.columns().values())
    return sorted(wanted & names)


def _values(batch: pa.RecordBatch) -> list[Any]:
    """The batch's rows; a DropRecord for a row whose text is not UTF-8."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            return [DropRecord("invalid_unicode", f"not UTF-8: {error}")]
        return [row for i in range(batch.num_rows) for row in _values(batch.slice(i, 1))]


def _parquet(source: SourceParams, file: IO[bytes]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{source.path}: not a Parquet file: {error}") from error


@contextmanager
def _readable(source: SourceParams) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
        raise SourceError(
            f"{source.path}: can't be read to its end: {error}",
            "The file is cut off or damaged: get it again.",
        ) from error


def _open(source: SourceParams) -> IO[bytes]:
    import fsspec

    try:
        file: Any = fsspec.open(source.path, "rb").open()
        opened: Any = gzip.open(file) if source.path.endswith(".gz") else file
        return cast(IO[bytes], opened)
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(
            f"{source.path}: can't be opened: {error}",
            "Check the path; it is relative to where the command runs.",
        ) from error
