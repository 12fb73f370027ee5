"""The contract of a consensus, and what all kinds of consensus share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import TOLERANCE, is_tie, prefers_a, prefers_b
from prefdata.consensus.temperatures import apply_temperatures, load_temperatures
from prefdata.parts import Part, PartConfig
from prefdata.parts.inputs import InputPath
from prefdata.parts.numbers import Count, Fraction, Real
from prefdata.records.base import fill_columns
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER
from prefdata.records.label import Label

FAULTS = ("too_few_judgments", "missing_criterion", "missing_dimension", "missing_reward")
"""Reasons for having no label that are faults: judgments are missing."""
NO_REASON = pl.lit(None, dtype=pl.String)


class ConsensusConfig(PartConfig):
    """The settings that every consensus has."""

    min_judgments: Count = Field(
        1, description="Scored judgments that a comparison must have.", examples=[2]
    )
    min_confidence: Real = Field(
        0.5, ge=0.5, le=1, examples=[0.9],
        description="Least P(preferred response) of the label.",
    )  # fmt: skip
    max_faulty_fraction: Fraction = Field(
        0.01, examples=[0.5],
        description="The largest allowed fraction of comparisons that lack judgments.",
    )  # fmt: skip
    calibration: InputPath | None = Field(
        None, examples=["calibration.json"],
        description="File of the judges' temperatures, from prefdata audit --calibrate.",
    )  # fmt: skip


class Labelling(NamedTuple):
    """The result of a consensus: each comparison is in exactly one of the two frames."""

    labels: pl.DataFrame
    """`Label` rows."""
    undecided: pl.DataFrame
    """prompt_id, response_a, response_b, reason, detail and fault of those without a label."""


class Consensus(Part):
    """Combines the judgments on a comparison into a label, independently of other prompts.

    A consensus whose labels depend on other prompts derives from `SummaryConsensus`.
    """

    config: ConsensusConfig

    def setup(self) -> None:
        self._temperatures = load_temperatures(self.config.calibration, f"{self.where}.calibration")

    def judges(self) -> Sequence[str]:
        """The judges that its settings name; a run refuses those that do not exist."""
        return ()

    def rewarding_judges(self) -> Sequence[str]:
        """The judges whose rewards it can't do without."""
        return ()

    def dimensions(self) -> Sequence[tuple[str | None, str]]:
        """(judge, dimension) of the judgments that it can't do without; a judge of None: of any."""
        return ()

    @property
    def needs_annotators(self) -> bool:
        """Whether it can't do without judgments of people."""
        return False

    @abstractmethod
    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        """One row per comparison, with a label or the reason why there is none.

        Args:
            judgments: `Judgment` rows, each at its judge's temperature.
            prompts: Rows with prompt_id, messages and source.

        Returns:
            prompt_id, response_a, response_b, preference (P(a ≻ b)), agreement, flag, reason and
            detail; reason is null exactly where there is a label.
        """

    def combine(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        """`decide` on `Judgment` rows of the table, once they are at their judges' temperatures."""
        return self.decide(apply_temperatures(judgments, self._temperatures), prompts)

    def label(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> Labelling:
        """The labels of a bucket's comparisons, and the comparisons that get none.

        Args:
            judgments: `Judgment` rows, as their table has them.
            prompts: Rows with prompt_id, messages and source.
            across: For a `SummaryConsensus`, all buckets' summaries as one frame.
        """
        return split_decided(self.combine(judgments, prompts))


class SummaryConsensus(Consensus):
    """A consensus in which a label depends on the labels of all other comparisons.

    Every bucket is combined and summarized, the summaries are concatenated, and `revise` settles
    each bucket's labels by them.
    """

    @abstractmethod
    def summarize(self, decided: pl.DataFrame) -> pl.DataFrame:
        """The part of a bucket's combined rows that the labels of other buckets depend on."""

    @abstractmethod
    def revise(self, decided: pl.DataFrame, across: pl.DataFrame) -> pl.DataFrame:
        """The combined rows of a bucket, in the same columns, settled by the summaries of all
        buckets. These come in `across` in any order, which must not matter."""

    def label(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> Labelling:
        decided = self.combine(judgments, prompts)
        across = self.summarize(decided) if across is None else across
        return split_decided(self.revise(decided, across))


def split_decided(decided: pl.DataFrame) -> Labelling:
    """Split the rows of `decide` by whether they have a label."""
    labelled = pl.col("reason").is_null()
    fault = pl.col("reason").is_in(FAULTS)
    undecided = decided.filter(~labelled).select(*COMPARISON, "reason", "detail", fault=fault)
    return Labelling(fill_columns(decided.filter(labelled), Label), undecided)


def mean_if_complete() -> pl.Expr:
    """The mean P(a ≻ b) of a group of judgments; null where one of them is Unscored."""
    p = pl.col("preference")
    return pl.when(p.null_count() == 0).then(p.sort_by(SPEAKER).mean())


def tally_judgments(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per comparison: the number, mean and extremes of its scored judgments.

    The columns are `scored` and `unscored` (without those that are only not annotated),
    `annotated` (rows of annotators, with or without an annotation), `mean`, `low` and `high` (of
    P(a ≻ b)), `for_a` and `for_b` (judgments that prefer a, or b) and `listed` (the judgments as
    text).
    """
    p = pl.col("preference")
    speaker = pl.concat_str("judge", "annotator", separator=" ", ignore_nulls=True)
    listed = pl.format("{} {}", speaker, pl.coalesce(p.round(3).cast(pl.String), "unscored"))
    not_annotated = pl.col("unscored").str.starts_with(NOT_ANNOTATED)
    return (
        # Sorted first: floating-point sums must not depend on the order of the judges.
        judgments.sort(*SPEAKER, *COMPARISON)
        .group_by(COMPARISON, maintain_order=True)
        .agg(
            scored=p.count(),
            unscored=(p.is_null() & ~not_annotated).sum(),
            annotated=(pl.col("annotator").is_not_null() | not_annotated.fill_null(False)).sum(),
            mean=p.mean(),
            low=p.min(),
            high=p.max(),
            for_a=prefers_a(p).sum(),
            for_b=prefers_b(p).sum(),
            listed=listed.str.join(", "),
        )
    )


def label_comparisons(
    tally: pl.DataFrame,
    config: ConsensusConfig,
    reason: pl.Expr = NO_REASON,
    preference: pl.Expr | None = None,
    flag: pl.Expr = NO_REASON,
) -> pl.DataFrame:
    """The rows that `Consensus.decide` returns.

    Args:
        tally: Rows of `tally_judgments`, with the columns that the expressions read.
        config: The limits on judgments and confidence.
        reason: Why there is no label. Too few judgments take precedence; ties and
            min_confidence come after it.
        preference: P(a ≻ b); None: the mean.
        flag: The mark on a label; comparisons without a label get none.
    """
    label = pl.col("mean") if preference is None else preference
    p = pl.col("preference")
    # The tolerance makes up for rounding: 1 - 0.4 is slightly below 0.6.
    confidence = pl.max_horizontal(p, 1 - p) + TOLERANCE
    return (
        tally.with_columns(preference=label, flag=flag)
        .with_columns(
            agreement=pl.when(p > 0.5).then("for_a").otherwise("for_b") / pl.col("scored"),
            reason=pl.when(pl.col("scored") < config.min_judgments)
            .then(pl.lit("too_few_judgments"))
            .when(reason.is_not_null())
            .then(reason)
            .when(p.is_null() | p.is_nan())
            .then(pl.lit("too_few_judgments"))
            .when(is_tie(p))
            .then(pl.lit("tie"))
            .when(confidence < config.min_confidence)
            .then(pl.lit("low_confidence")),
            detail="listed",
        )
        .with_columns(
            flag=pl.when(pl.col("reason").is_null()).then("flag"),
            # No fault: annotators need not annotate every comparison.
            reason=pl.when(
                pl.col("reason").is_in(FAULTS)
                & (pl.col("annotated") > 0)
                & (pl.col("unscored") == 0)
            )
            .then(pl.lit(NOT_ANNOTATED))
            .otherwise("reason"),
        )
        .select(*COMPARISON, "preference", "agreement", "flag", "reason", "detail")
    )
