"""The contract of a consensus, and what the ways of reaching one share."""

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
from prefdata.records.base import fill_columns
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER
from prefdata.records.label import Label

FAULTS = ("too_few_judgments", "missing_criterion", "missing_dimension", "missing_reward")
"""Reasons that say that a judgment failed to come, not what the judgments say."""
NO_REASON = pl.lit(None, dtype=pl.String)


class ConsensusConfig(PartConfig):
    """The settings every consensus has."""

    min_judgments: int = Field(
        1, gt=0, description="Scored judgments that a comparison must have.", examples=[2]
    )
    min_confidence: float = Field(
        0.5, ge=0.5, le=1, examples=[0.9],
        description="Least P(preferred response) of the label.",
    )  # fmt: skip
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, examples=[0.5],
        description="The largest fraction of comparisons whose judgments may fail to come.",
    )  # fmt: skip
    calibration: str | None = Field(
        None, examples=["calibration.json"],
        description="File of the judges' temperatures, from prefdata audit --calibrate.",
    )  # fmt: skip


class Labelling(NamedTuple):
    """What a consensus makes of the comparisons: each is in exactly one of the two frames."""

    labels: pl.DataFrame
    """`Label` rows."""
    undecided: pl.DataFrame
    """prompt_id, response_a, response_b, reason, detail and fault of those without a label."""


class Consensus(Part):
    """Combines the judgments on a comparison into a label; comparisons of other prompts have no
    say in it. Where they have, derive from `SummaryConsensus`."""

    config: ConsensusConfig

    def setup(self) -> None:
        self._temperatures = load_temperatures(self.config.calibration, f"{self.where}.calibration")

    def judges(self) -> Sequence[str]:
        """The judges that its settings name; a run refuses those that do not exist."""
        return ()

    @abstractmethod
    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        """One row per comparison, with a label or the reason why there is none.

        Args:
            judgments: `Judgment` rows, every judge's at its temperature.
            prompts: Rows with prompt_id, messages and source.

        Returns:
            prompt_id, response_a, response_b, preference (P(a ≻ b)), agreement, flag, reason and
            detail; reason is null exactly where there is a label.
        """

    def combine(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        """`decide` on `Judgment` rows as their table has them."""
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
    """A consensus whose labels depend on all others.

    Every bucket is combined and summarized, the summaries are joined to one frame, and `revise`
    settles each bucket's labels knowing them.
    """

    @abstractmethod
    def summarize(self, decided: pl.DataFrame) -> pl.DataFrame:
        """What other buckets' labels must know of the rows that `combine` made of this one."""

    @abstractmethod
    def revise(self, decided: pl.DataFrame, across: pl.DataFrame) -> pl.DataFrame:
        """The rows that `combine` made, in the same columns, knowing all summaries `across`,
        whose order means nothing."""

    def label(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> Labelling:
        decided = self.combine(judgments, prompts)
        across = self.summarize(decided) if across is None else across
        return split_decided(self.revise(decided, across))


def split_decided(decided: pl.DataFrame) -> Labelling:
    """The rows of `decide`, apart by whether they have a label."""
    labelled = pl.col("reason").is_null()
    fault = pl.col("reason").is_in(FAULTS)
    undecided = decided.filter(~labelled).select(*COMPARISON, "reason", "detail", fault=fault)
    return Labelling(fill_columns(decided.filter(labelled), Label), undecided)


def mean_if_complete() -> pl.Expr:
    """A group's mean judgment; null where one of them is Unscored."""
    p = pl.col("preference")
    return pl.when(p.null_count() == 0).then(p.sort_by(SPEAKER).mean())


def tally_judgments(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per comparison: its scored judgments counted, averaged, and their extremes.

    `scored`, `unscored` (that failed to come), `annotated` (rows of annotators, with or without
    an annotation), `mean`, `low` and `high` (of P(a ≻ b)), `for_a` and `for_b` (how many prefer
    which) and `listed` (the judgments as text).
    """
    p = pl.col("preference")
    whose = pl.concat_str("judge", "annotator", separator=" ", ignore_nulls=True)
    listed = pl.format("{} {}", whose, pl.coalesce(p.round(3).cast(pl.String), "unscored"))
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
        reason: Why there is no label; comes after too few judgments and before the limits.
        preference: P(a ≻ b); None: the mean.
        flag: The mark on a label; comparisons without a label get none.
    """
    label = pl.col("mean") if preference is None else preference
    p = pl.col("preference")
    # Rounded up by what rounding takes: 1 - 0.4 is a bit below 0.6.
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
            # Nothing failed: annotators have annotated what they have annotated.
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
