"""The files of an export's rows: one for each bucket and split, or one for each split."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from io import BufferedReader
from typing import Any, cast

import orjson
import polars as pl
import pyarrow as pa

from prefdata.dataset.exports.base import Export
from prefdata.dataset.manifest import FileEntry, compute_version
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.files.joining import concatenate
from prefdata.records.base import Record, parquet_schema
from prefdata.tables.write import encode, fit_rows

_SHARD = re.compile(r"-(\d{5,})-of-(\d{5,})\.[a-z]+$")


def name_shard(export: Export, split: str, bucket: int, buckets: int) -> str:
    """A shard's path in a version, named as on the Hugging Face hub."""
    return f"{export.name}/{split}-{bucket:05d}-of-{buckets:05d}.{export.file_format}"


def read_bucket_number(path: str) -> tuple[int, int] | None:
    """(the bucket that a shard is of, the number of buckets) by its path; None: the file holds the
    rows of all buckets."""
    found = _SHARD.search(path)
    return (int(found[1]), int(found[2])) if found else None


def encode_shard(
    export: Export, record: type[Record], rows: pl.DataFrame, where: str
) -> bytes | memoryview:
    """The content of a file with these rows, sorted as the record says; see `encode`."""
    if export.file_format == "parquet":
        return encode(record, rows, where)
    schema = parquet_schema(record)
    values = fit_rows(record, rows, where).to_pylist()
    lines = (_to_json(row, pa.struct(schema), export.omits_nulls) for row in values)
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def join_shards(export: Export, folder: str, shards: Mapping[str, int]) -> dict[str, int]:
    """Make one file of a split's shards, where the export's consumer reads no more.

    Args:
        export: The export.
        folder: The folder of the version.
        shards: The rows of each of the export's shards, by path.

    Returns:
        The rows of each file that is there now, by path.
    """
    if not export.one_file:
        return dict(sorted(shards.items()))
    joined: dict[str, int] = {}
    for split, paths in group_shards(shards).items():
        path = f"{export.name}/{split}.{export.file_format}"
        parts = [storage.join(folder, part) for part in paths]
        concatenate(parts, storage.join(folder, path))
        for part in parts:
            storage.remove(part)
        joined[path] = sum(shards[part] for part in paths)
    return joined


def group_shards(shards: Mapping[str, int]) -> dict[str, list[str]]:
    """The paths of each split's files, in order."""
    groups: dict[str, list[str]] = {}
    for path in sorted(shards):
        groups.setdefault(_read_split(path), []).append(path)
    return groups


def describe_shards(
    folder: str, files: Mapping[str, int], digests: Mapping[str, str]
) -> list[FileEntry]:
    """The entries of the files of the version in `folder`.

    Args:
        folder: The folder of the version.
        files: The rows of each file, by path; see `join_shards`.
        digests: By shard, a digest of its rows; see `digest_content`.
    """
    entries = []
    for path in sorted(files):
        try:
            with storage.open_file(storage.join(folder, path)) as file:
                digest = hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()
                size = file.seek(0, os.SEEK_END)
        except FileNotFoundError as error:
            raise TableError(f"{path}: missing right after it was written") from error
        split = _read_split(path)
        own = [path] if path in digests else _list_joined(path, split, digests)
        content = compute_version([int(digests[shard], 16) for shard in own])
        entries.append(
            FileEntry(
                path=path,
                split=split,
                rows=files[path],
                bytes=size,
                sha256=digest,
                content_version=content,
            )
        )
    return entries


def _list_joined(path: str, split: str, shards: Iterable[str]) -> list[str]:
    """The shards that were joined to the file of a split."""
    begin = f"{path.rpartition('/')[0]}/{split}-"
    return [shard for shard in shards if shard.startswith(begin)]


def _read_split(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.partition(".")[0].partition("-")[0]


def _to_json(value: Any, kind: pa.DataType, omits_nulls: bool) -> Any:
    """The value of this type, with JSON texts as what they say."""
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return orjson.Fragment(value)
    if pa.types.is_struct(kind):
        items = {f.name: _to_json(value[f.name], f.type, omits_nulls) for f in kind}
        return {k: v for k, v in items.items() if v is not None or not omits_nulls}
    if pa.types.is_list(kind):
        return [_to_json(item, kind.value_type, omits_nulls) for item in value]
    return value


def name_files(export: Export, paths: Sequence[str]) -> list[str]:
    """The paths as they are called inside the export's folder."""
    return [path.removeprefix(f"{export.name}/") for path in paths]
