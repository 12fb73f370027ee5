"""The manifest of a version of the dataset: what it is and how it was made."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from prefdata.dataset.pointer import find_newest
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.hashing.digests import row_digests
from prefdata.records.base import SCHEMA_VERSION
from prefdata.tables.chain import Made
from prefdata.tables.layout import Asked
from prefdata.tables.write import is_readable, schema_version

MANIFEST = "manifest.json"
PARAMS = "params.yaml"
COMPLETED = "COMPLETED"
SHARDS = "data"
_MODULUS = 1 << 256
_LIMBS = 256 // 32


class Entry(BaseModel):
    """A section of the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(Entry):
    """A file of the dataset."""

    path: str = Field(description="Relative to the dataset's folder.")
    rows: int
    bytes: int
    sha256: str


class PolicyEntry(Entry):
    """A policy that responses were sampled from."""

    model: str = Field(description="Its model's Hugging Face id or folder.")
    n: int | None = Field(description="Samples per prompt; null: by its weight.")
    weight: float | None = Field(description="Its weight in the pool of policies; null: no pool.")
    system: str | None = Field(description="The system prompt that it got; null: none.")
    sampling: dict[str, JsonValue] = Field(description="How it sampled: temperature, top_p …")


class StageEntry(Entry):
    """The counts of a stage."""

    stage: str
    unit: str = Field(description="What it counts, such as pairs.")
    rows_in: int
    rows_out: int
    dropped: dict[str, int] = Field(description="Dropped rows by reason.")
    models: dict[str, Asked] = Field(description='By call, such as "generate policy".')


class LabelsEntry(Entry):
    """Who labelled the pairs, and how far each judge can be trusted."""

    judges: list[str]
    audit: dict[str, dict[str, int | float | None]] = Field(
        description="The biases that prefdata audit measures, by judge, and the share of "
        "comparisons with other policies that each policy won."
    )


class Manifest(Entry):
    """What the dataset is and how it was made. Equal runs have equal manifests."""

    name: str
    schema_version: int
    content_version: str = Field(description="A digest of the rows alone.")
    prefdata_version: str
    config_fingerprint: str = Field(
        description="Over all settings, plugins and models that it was made with."
    )
    plugins: dict[str, str] = Field(
        description='Kinds of plugins, such as "judges.loudness", with package and version.'
    )
    models: dict[str, str] = Field(description="The fingerprint of each model.")
    policies: dict[str, PolicyEntry] = Field(
        default={}, description="By the name that chosen_policy and rejected_policy have."
    )
    structure: list[str] = Field(
        default=[],
        description="What its prompts and messages have besides role and content, such as tools, "
        "tool_calls and reasoning_content.",
    )
    settings: dict[str, JsonValue] = Field(
        default={},
        description="All settings, but no secrets and folders of tables; params.yaml beside the "
        "manifest has the same.",
    )
    languages: list[str] = Field(default=[], description="The languages of its texts, as codes.")
    columns: dict[str, str] = Field(
        default={}, description="The columns of its rows, and what each holds."
    )
    splits: dict[str, int] = Field(description="The number of pairs in each split.")
    stages: list[StageEntry]
    files: list[FileEntry]
    labels: LabelsEntry
    chain: dict[str, Made] = Field(
        default={}, description="How each table that it is made of was made, by stage."
    )


def digest_content(rows: pl.DataFrame) -> int:
    """A digest of the rows as a set; the digests of shards add up to that of all rows.

    It is the sum of the rows' SHA-256 modulo 2**256, so it depends neither on the order of rows nor
    on how they are cut into shards.
    """
    digests = row_digests(rows, sorted(rows.columns)).str.decode("hex").to_list()
    limbs = np.frombuffer(b"".join(digests), dtype="<u4").reshape(-1, _LIMBS)
    sums = limbs.sum(axis=0, dtype=np.uint64).tolist()
    return sum(limb << 32 * place for place, limb in enumerate(sums)) % _MODULUS


def compute_version(digests: list[int]) -> str:
    """The version of a dataset from its shards' digests: 64 hex characters."""
    return f"{sum(digests) % _MODULUS:064x}"


def name_shard(split: str, bucket: int, buckets: int) -> str:
    """A shard's path, named as on the Hugging Face hub, so that `load_dataset` finds the splits."""
    return f"{SHARDS}/{split}-{bucket:05d}-of-{buckets:05d}.parquet"


def describe_file(folder: str, path: str) -> FileEntry:
    """The entry of a file of the dataset that has just been written."""
    content = storage.read_bytes(storage.join(folder, path))
    if content is None:
        raise TableError(f"{storage.join(folder, path)}: missing right after it was written")
    rows = pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
    digest = hashlib.sha256(content).hexdigest()
    return FileEntry(path=path, rows=rows, bytes=len(content), sha256=digest)


def read_manifest(folder: str) -> Manifest:
    """The manifest of a completed dataset: of its newest version, or of the version whose folder
    this is. Raises TableError where the folder holds none."""
    folder = find_newest(folder)
    content = storage.read_bytes(storage.join(folder, MANIFEST))
    mark = storage.read_bytes(storage.join(folder, COMPLETED))
    if content is None or mark is None:
        raise TableError(f"{folder}: no completed dataset here", "Run: prefdata export")
    check_version(folder, content)
    if mark.strip() != hashlib.sha256(content).hexdigest().encode():
        raise TableError(
            f"{folder}: the manifest is not the one that was completed", "Export again."
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise TableError(
            f"{folder}/{MANIFEST}: not what export writes: {error}", "Export again."
        ) from error


def check_version(folder: str, content: bytes) -> None:
    """Raise TableError where the manifest is of a schema version that is not read."""
    version = schema_version(content)
    if not is_readable(version):
        raise TableError(
            f"{folder}: holds a dataset of schema version {version}, this is {SCHEMA_VERSION}",
            "Move the folder away, set `data` to a new one, or use the version that wrote it.",
        )
