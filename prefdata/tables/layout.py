"""The layout of a table: in which bucket a row lies, and how files are named.

A table is a folder of B Parquet files, B a power of two. The first 32 bits of a prompt's id choose
its bucket, the same in every table. Buckets are ranges of ids, so reading them in order gives all
rows sorted by prompt id, whatever B is.
"""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.files import storage
from prefdata.records.base import Record
from prefdata.tables.chain import Made

INFO_NAME = "_table.json"
PROMPTS_PER_BUCKET = 4096
MIN_BUCKETS = 4
"""So that a small job still has work for several workers."""


class Asked(BaseModel):
    """All that a stage requested of a model, whether the model or the memo answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int
    tokens_in: int
    tokens_out: int
    cost: float | None = Field(None, description="The cost if each is made once; null: no prices.")
    currency: str | None = None


class Reused(BaseModel):
    """What a policy took over from an earlier round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts_kept: int = Field(0, description="Prompts that keep their earlier responses.")
    prompts_sampled: dict[str, int] = Field(
        {},
        description="Prompts that were sampled anew, by reason. new: they had no response of the "
        "policy; stale: too many were stale; unscored: no log-probs could be compared.",
    )
    responses_kept: int = Field(0, description="Earlier responses that were kept.")
    responses_stale: int = Field(0, description="Earlier responses that are stale, kept or not.")
    responses_unscored: int = Field(
        0, description="Earlier responses whose log-probs could not be compared."
    )

    def plus(self, other: Reused) -> Reused:
        """The sum of both."""
        reasons = sorted({*self.prompts_sampled, *other.prompts_sampled})
        counts = {
            name: getattr(self, name) + getattr(other, name)
            for name in type(self).model_fields
            if name != "prompts_sampled"
        }
        return Reused(
            prompts_sampled={
                reason: self.prompts_sampled.get(reason, 0) + other.prompts_sampled.get(reason, 0)
                for reason in reasons
            },
            **counts,
        )


class FileInfo(BaseModel):
    """A bucket's file, as it was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    sha256: str

    def describes(self, content: bytes | memoryview) -> bool:
        """Whether the file had this content when it was written."""
        return hashlib.sha256(content).hexdigest() == self.sha256


class TableInfo(BaseModel):
    """The description of a finished table. It is written last: a table that has one is whole.

    Holds nothing that varies between runs on the same inputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str
    schema_version: int
    buckets: int
    rows: int
    rows_in: int
    rows_out: int
    dropped: dict[str, int] = {}
    dropped_values: dict[str, int] = Field(
        {},
        description="Values that were dropped while their rows stayed, by column and reason.",
        # Left out where there are none, so that the digests of earlier tables hold.
        exclude_if=operator.not_,
    )
    faults: int = 0
    unit: str
    asked: dict[str, Asked] = Field({}, description='By call, such as "generate policy".')
    chain: dict[str, Made] | None = Field(
        None,
        description="How this table and those before it were made, by stage; null: unknown, in "
        "tables written before this was kept.",
    )
    files: list[FileInfo] | None = Field(
        None, description="The buckets' files, in order; null: unknown, as for `chain`."
    )
    unread: dict[str, list[str]] = Field(
        {},
        description="By source, the fields that its rows hold and ingest did not read.",
        exclude_if=operator.not_,
    )
    reused: dict[str, Reused] = Field(
        {},
        description="By policy, what it took over from an earlier round.",
        exclude_if=operator.not_,
    )
    digest: str | None = Field(None, description="Of all the rest, so that damage to it shows.")

    def sign(self) -> TableInfo:
        """The same with its digest."""
        content = self.model_dump_json(exclude={"digest"}).encode()
        return self.model_copy(update={"digest": hashlib.sha256(content).hexdigest()})

    @property
    def content(self) -> str:
        """A digest of the table's rows and how they are bucketed; empty where it is unknown."""
        if self.files is None:
            return ""
        digests = "".join(file.sha256 for file in self.files)
        return hashlib.sha256(f"{self.record} {digests}".encode()).hexdigest()


@dataclass(frozen=True)
class Table:
    """A table: its folder and the record its rows are."""

    folder: str
    record: type[Record]

    def bucket_path(self, bucket: int, buckets: int) -> str:
        """The path of one bucket's file."""
        return storage.join(self.folder, f"bucket-{bucket:05d}-of-{buckets:05d}.parquet")

    @property
    def info_path(self) -> str:
        """The path of the mark that a finished table has."""
        return storage.join(self.folder, INFO_NAME)


def bucket_of(prompt_id: str, buckets: int) -> int:
    """The bucket of a prompt id, for `buckets` a power of two."""
    return int(prompt_id[:8], 16) * buckets >> 32


def bucket_column(prompt_ids: pl.Series, buckets: int) -> pl.Series:
    """`bucket_of` of each id."""
    numbers = prompt_ids.str.head(8).str.to_integer(base=16)
    return (numbers * buckets) // (1 << 32)


def list_overlapping(bucket: int, buckets: int, others: int) -> range:
    """Which of `others` buckets share ids with one of `buckets`; both are powers of two."""
    first = bucket * others // buckets
    return range(first, max(first + 1, (bucket + 1) * others // buckets))


def buckets_for(rows: int) -> int:
    """The smallest power of two that keeps buckets near PROMPTS_PER_BUCKET prompts."""
    wanted = max(MIN_BUCKETS, -(-rows // PROMPTS_PER_BUCKET))
    return 1 << (wanted - 1).bit_length()
