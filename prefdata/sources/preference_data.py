"""Preference datasets to read and to write a filtered copy of, in their own format and columns.

JSONL (.gz too), a JSON array, Parquet, or what `datasets.load_dataset` takes: a folder of data
files or an id on the Hugging Face hub.
"""

from __future__ import annotations

import gzip
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.errors import DropRecord, SourceError
from prefdata.files import storage
from prefdata.sources.files import parsed

_LINES = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")


class PreferenceData(ABC):
    """A dataset. `name` is what it was called, `file` what its filtered copy is called."""

    name: str
    file: str

    @abstractmethod
    def rows(self) -> Iterator[Any]:
        """The rows in order; a DropRecord in place of one that can't be read."""

    @abstractmethod
    def copy(self, keep: Sequence[int], extra: pl.DataFrame | None) -> bytes:
        """The file of the kept rows, in order; `extra` has one row a kept row, as new columns."""


class Lines(PreferenceData):
    """JSONL: kept lines stay byte for byte as they were."""

    def __init__(self, path: str, content: bytes) -> None:
        self.name, self.file = path, Path(path).name
        lines = (line.rstrip(b"\r") for line in _plain(path, content).split(b"\n"))
        self.lines = [line for line in lines if line.strip()]

    def rows(self) -> Iterator[Any]:
        return (parsed(line) for line in self.lines)

    def copy(self, keep: Sequence[int], extra: pl.DataFrame | None) -> bytes:
        kept = [self.lines[n] for n in keep]
        if extra is not None:
            new = zip(kept, extra.iter_rows(named=True), strict=True)
            kept = [orjson.dumps({**orjson.loads(line), **more}) for line, more in new]
        return _packed(self.file, b"".join(line + b"\n" for line in kept))


class Array(PreferenceData):
    """A file that is one JSON array of rows."""

    def __init__(self, path: str, content: bytes) -> None:
        self.name, self.file = path, Path(path).name
        value = parsed(_plain(path, content))
        if isinstance(value, DropRecord):
            raise SourceError(f"{path}: not JSON: {value.problem}")
        self.values: list[Any] = value

    def rows(self) -> Iterator[Any]:
        return iter(self.values)

    def copy(self, keep: Sequence[int], extra: pl.DataFrame | None) -> bytes:
        kept = [self.values[n] for n in keep]
        if extra is not None:
            kept = [{**r, **x} for r, x in zip(kept, extra.iter_rows(named=True), strict=True)]
        return _packed(self.file, orjson.dumps(kept, option=orjson.OPT_INDENT_2) + b"\n")


class ArrowRows(PreferenceData):
    """An Arrow table: a Parquet file, or what `datasets` loaded. Its schema stays."""

    def __init__(self, name: str, file: str, table: pa.Table) -> None:
        self.name, self.file, self.table = name, file, table

    def rows(self) -> Iterator[Any]:
        for batch in self.table.to_batches(max_chunksize=1000):
            yield from batch.to_pylist()

    def copy(self, keep: Sequence[int], extra: pl.DataFrame | None) -> bytes:
        kept = self.table.take(pa.array(keep, pa.int64()))
        if extra is not None:
            for column in extra.get_columns():
                kept = kept.append_column(column.name, column.to_arrow())
            # What `datasets` wrote there names the columns, and no longer all of them.
            kept = kept.replace_schema_metadata(None)
        sink = io.BytesIO()
        pq.write_table(kept, sink, compression="zstd")
        return sink.getvalue()


def open_preferences(
    data: str, split: str | None = None, subset: str | None = None, revision: str | None = None
) -> PreferenceData:
    """The dataset that `data` names: a file, a folder or a hub id. Raises SourceError."""
    plain = data.removesuffix(".gz")
    if plain.endswith((*_LINES, *_PARQUET)) or Path(data).is_file():
        if split or subset or revision:
            raise SourceError(
                f"{data}: a file has no split, subset or revision",
                "Leave --split, --subset and --revision out.",
            )
        return _file(data, plain)
    return _loaded(data, split, subset, revision)


def _file(path: str, plain: str) -> PreferenceData:
    if not plain.endswith((*_LINES, *_PARQUET)):
        raise SourceError(
            f"{path}: can't tell its format from its name",
            "Name it .jsonl, .json (an array or lines), .parquet, or one of these with .gz.",
        )
    content = storage.read_bytes(path)
    if content is None:
        raise SourceError(
            f"{path}: no such file", "Check the path; it is relative to where the command runs."
        )
    if plain.endswith(_PARQUET):
        try:
            table = pq.read_table(io.BytesIO(content))
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{path}: not a Parquet file: {error}") from error
        return ArrowRows(path, Path(path).name, table)
    if _plain(path, content).lstrip()[:1] == b"[":
        return Array(path, content)
    return Lines(path, content)


def _loaded(
    data: str, split: str | None, subset: str | None, revision: str | None
) -> PreferenceData:
    import datasets

    local = Path(data).is_dir()
    if not local and (data.count("/") != 1 or data.startswith((".", "/"))):
        raise SourceError(
            f"{data}: neither a file or folder that is here nor a hub id (OWNER/NAME)",
            "Check the path; it is relative to where the command runs.",
        )
    try:
        found = datasets.load_dataset(data, subset, revision=revision)
    # `datasets` and the hub's client raise many kinds; to the user they are one: not there.
    except Exception as error:
        where = "this folder" if local else "the hub"
        raise SourceError(
            f"{data}: can't be loaded from {where}: {str(error).splitlines()[0]}",
            "Check the name, --subset, --revision, the network and, for a gated dataset, the login."
            if not local
            else "It should hold Parquet or JSONL files.",
        ) from error
    splits = list(found)
    if split is None and len(splits) > 1:
        raise SourceError(
            f"{data}: it has the splits {', '.join(splits)}", "Name one with --split."
        )
    name = split or splits[0]
    if name not in splits:
        raise SourceError(f"{data}: has no split {name!r}; it has: {', '.join(splits)}")
    return ArrowRows(f"{data} ({name})", f"{name}.parquet", found[name].data.table)


def _plain(path: str, content: bytes) -> bytes:
    if not path.endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise SourceError(
            f"{path}: can't be unpacked: {error}", "The file is cut off or damaged: get it again."
        ) from error


def _packed(name: str, content: bytes) -> bytes:
    # No time in it: the same rows give the same bytes.
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content
