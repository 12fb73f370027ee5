"""The dataset's folder: shards, manifest, card, and the COMPLETED mark that is written last."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.hashing.digests import row_digests
from prefdata.records.base import SCHEMA_VERSION
from prefdata.tables.layout import Asked
from prefdata.tables.write import schema_version

MANIFEST = "manifest.json"
COMPLETED = "COMPLETED"
SHARDS = "data"
_MODULUS = 1 << 256
_LIMBS = 256 // 32


class FileEntry(BaseModel):
    """A file of the dataset; `path` is relative to its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    rows: int
    bytes: int
    sha256: str


class ModelEntry(Asked):
    """What a stage wanted of a model, and what that costs if all of it is asked once."""

    cost: float | None
    currency: str | None


class StageEntry(BaseModel):
    """Rows in and out of a stage, what fell out, by reason, and its model calls."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    unit: str
    rows_in: int
    rows_out: int
    dropped: dict[str, int]
    models: dict[str, ModelEntry]


class Manifest(BaseModel):
    """What the dataset is and how it came to be; nothing in it varies between equal runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    schema_version: int
    content_version: str
    prefdata_version: str
    config_fingerprint: str
    models: dict[str, str]
    splits: dict[str, int]
    stages: list[StageEntry]
    files: list[FileEntry]
    labels: dict[str, Any]


def content_digest(rows: pl.DataFrame) -> int:
    """A digest of the rows as a set: digests of parts add up to that of the whole.

    The sum modulo 2**256 of the rows' SHA-256, so that it depends neither on the order of rows
    nor on how they are cut into shards.
    """
    digests = row_digests(rows, sorted(rows.columns)).str.decode("hex").to_list()
    limbs = np.frombuffer(b"".join(digests), dtype="<u4").reshape(-1, _LIMBS)
    sums = limbs.sum(axis=0, dtype=np.uint64).tolist()
    return sum(limb << 32 * place for place, limb in enumerate(sums)) % _MODULUS


def content_version(digests: list[int]) -> str:
    """The version of the whole from its parts' digests: 64 hex characters."""
    return f"{sum(digests) % _MODULUS:064x}"


def shard_name(split: str, bucket: int, buckets: int) -> str:
    """Named as the Hugging Face hub names shards, so that `load_dataset(folder)` finds splits."""
    return f"{SHARDS}/{split}-{bucket:05d}-of-{buckets:05d}.parquet"


def begin(folder: str) -> None:
    """Open the folder: refuse another version's, and take the COMPLETED mark away first."""
    storage.make_folder(folder)
    content = storage.read_bytes(storage.join(folder, MANIFEST))
    if content is not None:
        _check_version(folder, content)
    storage.remove(storage.join(folder, COMPLETED))


def file_entry(folder: str, path: str) -> FileEntry:
    """The entry of a file that was written."""
    content = storage.read_bytes(storage.join(folder, path))
    if content is None:
        raise TableError(f"{storage.join(folder, path)}: missing right after it was written")
    rows = pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
    digest = hashlib.sha256(content).hexdigest()
    return FileEntry(path=path, rows=rows, bytes=len(content), sha256=digest)


def finish(folder: str, manifest: Manifest, card: str) -> None:
    """Remove shards of earlier runs, write manifest and card, and mark the dataset whole."""
    kept = {entry.path for entry in manifest.files}
    for name in storage.list_names(storage.join(folder, SHARDS)):
        if f"{SHARDS}/{name}" not in kept:
            storage.remove(storage.join(folder, SHARDS, name))
    content = manifest.model_dump_json(indent=1).encode() + b"\n"
    storage.write_bytes(storage.join(folder, MANIFEST), content)
    storage.write_bytes(storage.join(folder, "README.md"), card.encode())
    mark = hashlib.sha256(content).hexdigest() + "\n"
    storage.write_bytes(storage.join(folder, COMPLETED), mark.encode())


def read_manifest(folder: str) -> Manifest:
    """The manifest of a completed dataset."""
    content = storage.read_bytes(storage.join(folder, MANIFEST))
    mark = storage.read_bytes(storage.join(folder, COMPLETED))
    if content is None or mark is None:
        raise TableError(f"{folder}: no completed dataset here", "Run: prefdata export")
    _check_version(folder, content)
    if mark.decode().strip() != hashlib.sha256(content).hexdigest():
        raise TableError(
            f"{folder}: the manifest is not the one that was completed", "Export again."
        )
    return Manifest.model_validate_json(content)


def _check_version(folder: str, content: bytes) -> None:
    version = schema_version(content)
    if version != SCHEMA_VERSION:
        raise TableError(
            f"{folder}: holds a dataset of schema version {version}, this is {SCHEMA_VERSION}",
            "Move the folder away, set `data` to a new one, or use the version that wrote it.",
        )
