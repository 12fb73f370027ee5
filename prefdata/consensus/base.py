"""The contract of a consensus, and what the ways of reaching one share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from prefdata.consensus.calibration import calibrated, load_temperatures
from prefdata.parts import Part, PartConfig
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER

COMPARISON = ("prompt_id", "response_a", "response_b")
FAULTS = ("too_few_judgments", "missing_criterion", "missing_dimension", "missing_reward")
"""Reasons that say that a judgment failed to come, not what the judgments say."""
ROUNDING = 1e-9
"""Judgments closer than this to 0.5 are ties: which answer's id comes first decides the last bits
of a probability, and may not decide a label."""
NO_REASON = pl.lit(None, dtype=pl.String)


class ConsensusConfig(PartConfig):
    """The settings every consensus has."""

    min_judgments: int = Field(1, gt=0, description="Scored judgments a comparison must have.")
    min_confidence: float = Field(
        0.5, ge=0.5, le=1, description="Least P(preferred response) of the combined label."
    )
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="Comparisons whose judgments failed to come, at most."
    )
    calibration: str | None = Field(
        None, description="File of the judges' temperatures, from prefdata audit --calibrate."
    )


class Consensus(Part):
    """Combines the judges' judgments.

    Where `across_buckets`, a label depends on all others: the stage decides once to `summarize`
    every bucket, and again with all summaries joined as `across`.
    """

    config: ConsensusConfig
    across_buckets: ClassVar[bool] = False

    def setup(self) -> None:
        self._temperatures = load_temperatures(self.config.calibration)

    def label(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """`decide`, with every judge's judgments at its temperature."""
        return self.decide(calibrated(judgments, self._temperatures), prompts, across)

    @abstractmethod
    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """One row a comparison: prompt_id, response_a, response_b, preference (P(a ≻ b)),
        agreement, flag, reason and detail; reason is null exactly where there is a label.

        `judgments` are rows of `Judgment`; `prompts` hold prompt_id, messages and source.
        """

    def judges(self) -> Sequence[str]:
        """The judges that its settings name; the stage refuses those there are not."""
        return ()

    def summarize(self, decided: pl.DataFrame) -> pl.DataFrame:
        """What the labels of other buckets must know of these."""
        raise NotImplementedError(f"{self.kind} decides bucket by bucket")


def whole_mean() -> pl.Expr:
    """A group's mean judgment; null where one of them is unscored."""
    p = pl.col("preference")
    return pl.when(p.null_count() == 0).then(p.sort_by(SPEAKER).mean())


def tally_judgments(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row a comparison: its scored judgments counted, averaged and their extremes.

    `scored`, `unscored` (that failed to come), `people` (rows of the judge `people`), `mean`,
    `low`, `high` (of P(a ≻ b)), `for_a` and `for_b` (how many prefer which), `said` (as text).
    """
    p = pl.col("preference")
    whose = pl.concat_str("judge", "annotator", separator=" ", ignore_nulls=True)
    said = pl.format("{} {}", whose, pl.coalesce(p.round(3).cast(pl.String), "unscored"))
    unlabelled = pl.col("unscored").str.starts_with(NOT_ANNOTATED)
    return (
        # Sorted first: floating-point sums must not depend on the order of the judges.
        judgments.sort(*SPEAKER, *COMPARISON)
        .group_by(COMPARISON, maintain_order=True)
        .agg(
            scored=p.count(),
            unscored=(p.is_null() & ~unlabelled).sum(),
            people=(pl.col("annotator").is_not_null() | unlabelled.fill_null(False)).sum(),
            mean=p.mean(),
            low=p.min(),
            high=p.max(),
            for_a=(p > 0.5 + ROUNDING).sum(),
            for_b=(p < 0.5 - ROUNDING).sum(),
            said=said.str.join(", "),
        )
    )


def labelled(
    counted: pl.DataFrame,
    reason: pl.Expr,
    config: ConsensusConfig,
    preference: pl.Expr | None = None,
    flag: pl.Expr | None = None,
) -> pl.DataFrame:
    """The contract's columns from `tally_judgments`; the label is their mean, or `preference`.

    `reason` comes after too few judgments and before the rest; `flag` marks labels alone.
    """
    label = pl.col("mean") if preference is None else preference
    mark = pl.lit(None, dtype=pl.String) if flag is None else flag
    p = pl.col("preference")
    # Rounded up by what rounding takes: 1 - 0.4 is a bit below 0.6.
    confidence = pl.max_horizontal(p, 1 - p) + ROUNDING
    return (
        counted.with_columns(preference=label, flag=mark)
        .with_columns(
            agreement=pl.when(p > 0.5).then("for_a").otherwise("for_b") / pl.col("scored"),
            reason=pl.when(pl.col("scored") < config.min_judgments)
            .then(pl.lit("too_few_judgments"))
            .when(reason.is_not_null())
            .then(reason)
            .when(p.is_null() | p.is_nan())
            .then(pl.lit("too_few_judgments"))
            .when((p - 0.5).abs() <= ROUNDING)
            .then(pl.lit("tie"))
            .when(confidence < config.min_confidence)
            .then(pl.lit("low_confidence")),
            detail="said",
        )
        .with_columns(
            flag=pl.when(pl.col("reason").is_null()).then("flag"),
            # Nobody failed: people have labelled what they have labelled.
            reason=pl.when(
                pl.col("reason").is_in(FAULTS) & (pl.col("people") > 0) & (pl.col("unscored") == 0)
            )
            .then(pl.lit(NOT_ANNOTATED))
            .otherwise("reason"),
        )
        .select(*COMPARISON, "preference", "agreement", "flag", "reason", "detail")
    )
