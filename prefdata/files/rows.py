"""The one reader of rows: JSONL, JSON, Parquet, CSV and plain text, compressed or not, from local
paths and fsspec URLs.

Rows come as a stream, each with its number. A row that can't be parsed is replaced by a DropRecord
with the reason, so that the good rows go on; a file that can't be read raises SourceError.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, Literal, NamedTuple, cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.errors import DropRecord, SourceError, StorageError
from prefdata.files import storage
from prefdata.files.values import decode_text, parse_json, read_batch

Format = Literal["jsonl", "json", "parquet", "csv", "text"]
"""json: an array of rows, or one row per line; text: one text per line."""

_ENDINGS: Mapping[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".txt": "text",
}
_UNPACK: Mapping[str, Callable[[Any], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda file: io.BufferedReader(
        cast(Any, pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"))
    ),
}
_READ_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


SHARE_ROWS = 10_000
"""The rows next to each other that belong to one share."""


class Share(NamedTuple):
    """Which rows of a file a process reads, where several read it: every so many runs of SHARE_ROWS
    rows one is its own."""

    position: int = 0
    of: int = 1

    def holds(self, number: int) -> bool:
        """Whether the row of this number, from 1, belongs to the share."""
        return (number - 1) // SHARE_ROWS % self.of == self.position


WHOLE = Share()


class Row(NamedTuple):
    """A row of a file."""

    number: int
    """From 1: the line number in JSONL and text, counting blank lines; else the row's position."""
    raw: bytes | None
    """The line as it stands in the file; None in formats without lines."""
    value: Any
    """The row's value, or a DropRecord with the reason why it can't be parsed."""
    origin: str | None = None
    """The file and the row in it; None: the file that is read, and `number`."""

    def text(self) -> str:
        """The row as it was read, for its dropped record."""
        if self.raw is None:
            return repr(self.value)
        return self.raw.decode("utf-8", "backslashreplace")


def guess_format(path: str) -> Format | None:
    """The format that the file's name tells; None where it tells none."""
    return _ENDINGS.get(os.path.splitext(_strip_compression(path))[1].lower())


def format_of(path: str, formats: Sequence[Format] = get_args(Format)) -> Format:
    """The format that the file's name tells. Raises SourceError where it is none of `formats`."""
    file_format = guess_format(path)
    if file_format not in formats:
        *others, last = formats
        raise SourceError(
            f"{path}: can't tell its format from its name",
            f"Set the source's format: {', '.join(others)} or {last}.",
        )
    return cast(Format, file_format)


def read_rows(
    path: str,
    file_format: Format | None = None,
    columns: Sequence[str] | None = None,
    share: Share = WHOLE,
) -> Iterator[Row]:
    """The rows of a file in order.

    Args:
        path: A local path or an fsspec URL; .gz, .bz2, .xz and .zst are unpacked.
        file_format: The format; None: the one that the file's name tells.
        columns: The columns to read from a Parquet file, where it has them; None: all.
        share: The rows to read; the others are passed over without being parsed, as far as the
            format allows.

    Raises:
        SourceError: The file can't be opened or read to its end, or is of another format.
    """
    file_format = file_format or format_of(path)
    with _explain_damage(path):
        if file_format == "parquet":
            yield from _parquet_rows(path, columns, share)
        elif file_format == "csv":
            yield from _take_share(_csv_rows(path), share)
        elif is_array(path, file_format):
            yield from _take_share(enumerate(_read_array(path), 1), share)
        else:
            parse = decode_text if file_format == "text" else parse_json
            yield from _lines(path, parse, share)


def read_values(
    path: str, file_format: Format | None = None, columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """The values of `read_rows`, for files in which every row must be good. Raises SourceError
    naming the first row that can't be parsed."""
    for row in read_rows(path, file_format, columns):
        if isinstance(row.value, DropRecord):
            raise SourceError(f"{path}, row {row.number}: {row.value.reason}: {row.value.problem}")
        yield row.value


def count_rows(path: str, file_format: Format | None = None) -> int:
    """An upper bound of the number of rows, without parsing them where the format allows."""
    file_format = file_format or format_of(path)
    with _explain_damage(path):
        if is_array(path, file_format):
            return len(_read_array(path))
        with open_unpacked(path) as file:
            if file_format == "parquet":
                return int(_open_parquet(path, file).metadata.num_rows)
            chunks = iter(lambda: file.read(_READ_BYTES), b"")
            return sum(chunk.count(b"\n") for chunk in chunks) + 1


def column_names(path: str) -> list[str]:
    """The columns of a Parquet file."""
    with _explain_damage(path), open_unpacked(path) as file:
        return list(_open_parquet(path, file).schema_arrow.names)


def read_table(path: str) -> pa.Table:
    """A whole Parquet file, in its own schema."""
    with _explain_damage(path), open_unpacked(path) as file:
        return _open_parquet(path, file).read()


def is_array(path: str, file_format: Format = "json") -> bool:
    """Whether a JSON file is one array of rows rather than one row per line. A file of lines is one
    where its first line ends inside the array."""
    if file_format not in ("json", "jsonl"):
        return False
    with _explain_damage(path), open_unpacked(path) as file:
        start = file.read(_READ_BYTES).removeprefix(_BOM).lstrip()
        if file_format == "json" or start[:1] != b"[":
            return start[:1] == b"["
        line = start.partition(b"\n")[0].strip()
        return line in (b"[", b"[{") or line.endswith(b"},")


def open_unpacked(path: str) -> IO[bytes]:
    """The file's content, unpacked by the ending of its name. Raises SourceError."""
    try:
        file: Any = storage.open_file(os.path.expanduser(path))
    except (OSError, StorageError) as error:
        raise SourceError(
            f"{path}: can't be opened: {error}",
            "Check the path; it is relative to where the command runs.",
        ) from error
    unpack = _UNPACK.get(os.path.splitext(path)[1].lower())
    return cast(IO[bytes], unpack(file) if unpack else file)


def _strip_compression(path: str) -> str:
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in _UNPACK else path


def _take_share(values: Iterable[tuple[int, Any]], share: Share) -> Iterator[Row]:
    return (Row(number, None, value) for number, value in values if share.holds(number))


def _lines(path: str, parse: Callable[[bytes], Any], share: Share) -> Iterator[Row]:
    with open_unpacked(path) as file:
        # By b"\n" alone: str.splitlines would also cut at U+2028 inside a JSON string.
        for number, line in enumerate(file, 1):
            if not share.holds(number):
                continue
            line = line.rstrip(b"\r\n").removeprefix(_BOM if number == 1 else b"")
            if line.strip():
                yield Row(number, line, parse(line))


def _read_array(path: str) -> list[Any]:
    with open_unpacked(path) as file:
        value = parse_json(file.read().removeprefix(_BOM))
    if isinstance(value, DropRecord):
        raise SourceError(f"{path}: not JSON: {value.problem}")
    return cast(list[Any], value)


def _csv_rows(path: str) -> Iterator[tuple[int, Any]]:
    with open_unpacked(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        yield from enumerate(csv.DictReader(text), 1)


def _parquet_rows(path: str, columns: Sequence[str] | None, share: Share) -> Iterator[Row]:
    with open_unpacked(path) as file:
        parquet = _open_parquet(path, file)
        names = parquet.schema_arrow.names
        wanted = names if columns is None else sorted(set(columns) & set(names))
        first = 1
        for batch in parquet.iter_batches(SHARE_ROWS, columns=wanted):
            last = first + batch.num_rows - 1
            # A batch is no longer than a run of a share's rows, so it lies in two at most.
            if share.holds(first) or share.holds(last):
                yield from _take_share(enumerate(read_batch(batch), first), share)
            first = last + 1


def _open_parquet(path: str, file: IO[bytes]) -> pq.ParquetFile:
    try:
        seekable = file if file.seekable() else io.BytesIO(file.read())
        return pq.ParquetFile(seekable)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path}: not a Parquet file: {error}") from error


@contextmanager
def _explain_damage(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowInvalid, csv.Error,
            UnicodeDecodeError) as error:  # fmt: skip
        raise SourceError(
            f"{path}: can't be read to its end: {error}",
            "The file is cut off or damaged: get it again.",
        ) from error
