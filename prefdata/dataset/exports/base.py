"""The contract of an export."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.parts import Part, PartConfig
from prefdata.records.base import Record

FileFormat = Literal["parquet", "jsonl"]
Unit = Literal["pairs", "responses", "prompts", "rows"]

_DROPPED = {"prompt_id": pl.String, "pair_id": pl.String, "reason": pl.String, "detail": pl.String}


class ExportConfig(PartConfig):
    """An export's settings."""

    name: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="Its folder in a version, and its configuration in `load_dataset`; null: its "
        "kind. Lower-case letters, digits, _ and -.",
        examples=["mine"],
    )


@dataclass(frozen=True)
class ExportBucket:
    """A bucket of what there is to export.

    Attributes:
        pairs: `FilteredPair` rows with the prompt's messages, tools, source and split; the texts
            chosen and rejected, without thoughts and calls; and these as chosen_thoughts,
            chosen_tool_calls, rejected_thoughts and rejected_tool_calls.
        tables: The bucket of each table that the export's `needs` names, by name.
    """

    pairs: pl.DataFrame
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def prompts(self) -> pl.DataFrame:
        """All `Prompt` rows of the bucket, for exports that need "prompts"."""
        return self.tables["prompts"]

    @property
    def responses(self) -> pl.DataFrame:
        """All `Response` rows of the bucket, for exports that need "responses"."""
        return self.tables["responses"]

    @property
    def labels(self) -> pl.DataFrame:
        """All `Label` rows of the bucket, for exports that need "labels"."""
        return self.tables["labels"]

    @property
    def judgments(self) -> pl.DataFrame:
        """All `Judgment` rows of the bucket, for exports that need "judgments"."""
        return self.tables["judgments"]


@dataclass(frozen=True)
class Formatted:
    """What an export makes of a bucket: units_in = units_out + dropped, or the stage fails.

    Attributes:
        rows: The columns of the export's record, and `split`.
        dropped: A row for each unit that the format can't hold: prompt_id, reason (a short code),
            detail (what was found, and the setting to change), and the ids that say what fell out,
            such as pair_id; see `drop_pairs`.
        units_in: The number of units that the bucket has; None: that of its pairs.
        units_out: The number of units that the rows hold; None: that of the rows.
        pair_ids: The pairs of which the rows hold something; None: all but those in `dropped`.
    """

    rows: pl.DataFrame
    dropped: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_DROPPED))
    units_in: int | None = None
    units_out: int | None = None
    pair_ids: pl.Series | None = None

    def find_carried(self, pair_ids: pl.Series) -> pl.Series:
        """Those of the bucket's pairs of which the rows hold something."""
        if self.pair_ids is not None:
            return self.pair_ids
        if "pair_id" not in self.dropped.columns:
            return pair_ids
        return pair_ids.filter(~pair_ids.is_in(self.dropped["pair_id"].drop_nulls().implode()))


class Export(Part):
    """Turns pairs with their texts into the rows that a consumer reads.

    Some datasets have structure: tools, tool calls or thoughts. An export that can write them has a
    second record for these, and finds out whether a dataset needs it.
    """

    config: ExportConfig
    record: ClassVar[type[Record]]
    """The record of its rows."""
    structured: ClassVar[type[Record] | None] = None
    """The record of the rows of a dataset with structure; None: `record`, which leaves it out."""
    unit: ClassVar[Unit] = "pairs"
    """What it takes in and puts out, and what it counts. `rows`: something else, which the
    docstring says."""
    cannot_carry: ClassVar[str]
    """What the format leaves out, in a sentence; the manifest and the reference show it."""
    one_way: ClassVar[str | None] = None
    """Why the rows, read by a source, are not what they were made of; None: they are, but for what
    `cannot_carry` says."""
    usage: ClassVar[str] = ""
    """How its consumer takes the rows, for the card: lines of Python with `dataset`, which
    `load_dataset` gave, or a command in the version's folder, where `{name}` is the export's."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """The tables of a bucket that it reads besides the pairs: prompts, responses, labels,
    judgments."""
    file_format: ClassVar[FileFormat] = "parquet"
    """In JSONL, a column of `JsonText` is the value itself."""
    omits_nulls: ClassVar[bool] = False
    """Whether JSONL leaves out keys whose value is null, at any depth."""
    one_file: ClassVar[bool] = False
    """Whether a split is one JSONL file, SPLIT.jsonl, for consumers that read no folder; else it is
    a shard for each bucket."""

    needs_judgments: ClassVar[bool] = False
    """Whether it goes by the judgments of each pair."""

    def judges(self) -> Sequence[str]:
        """The judges that its settings name."""
        return ()

    def rewarding_judges(self) -> Sequence[str]:
        """Those of them whose rewards it can't do without."""
        return ()

    @property
    def name(self) -> str:
        """Its folder in a version, and its configuration in `load_dataset`."""
        return self.config.name or self.kind

    @property
    def takes_pairs(self) -> bool:
        """Whether its rows are made of pairs; false: it has rows where there are no pairs, too."""
        return True

    @abstractmethod
    def format_rows(self, bucket: ExportBucket) -> Formatted:
        """The rows of a bucket, in the consumer's columns."""

    def list_structure(self, bucket: ExportBucket) -> list[str]:
        """What the rows are to hold of tools, tool calls and thoughts, as the rows call it, such as
        tools, tool_calls and reasoning_content."""
        return []

    def format_structured(self, bucket: ExportBucket) -> Formatted:
        """The rows as `structured`, in a dataset where `list_structure` is of some bucket not
        empty; see `format_rows`."""
        return self.format_rows(bucket)

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        """Further files for the consumer, such as a description of the columns: text by file name.

        Args:
            shards: The names of each split's files, in the export's folder; no split is empty.
            structured: Whether the rows are `structured`.
        """
        return {}


def drop_pairs(pairs: pl.DataFrame, reason: str, detail: str | pl.Expr) -> pl.DataFrame:
    """A row of `Formatted.dropped` for each of these pairs.

    Args:
        pairs: The pairs that fall out, with their ids.
        reason: A short code, for counting.
        detail: What was found, and the setting to change.
    """
    detail = pl.lit(detail) if isinstance(detail, str) else detail
    return pairs.select(
        "prompt_id",
        "pair_id",
        "chosen_id",
        "rejected_id",
        reason=pl.lit(reason),
        detail=detail,
    )


def sort_out(
    pairs: pl.DataFrame, limits: Mapping[str, tuple[pl.Expr, str | pl.Expr]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(the pairs that pass, `Formatted.dropped` of the others).

    Args:
        pairs: The pairs, with the columns that the conditions read.
        limits: reason -> (what the format can't hold, detail). The first that holds counts; a
            condition that is null does not hold.
    """
    dropped = [pl.DataFrame(schema=_DROPPED)]
    for reason, (condition, detail) in limits.items():
        dropped.append(drop_pairs(pairs.filter(condition), reason, detail))
        pairs = pairs.filter(condition.fill_null(False).not_())
    return pairs, pl.concat(dropped, how="diagonal")
