"""The contract of a consensus, and what the ways of reaching one share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.config.load import validated
from prefdata.consensus.calibration import calibrated, load_temperatures
from prefdata.records.judgment import NOT_LABELLED, SPEAKER

COMPARISON = ("prompt_id", "response_a", "response_b")
FAULTS = ("too_few_opinions", "missing_criterion", "missing_dimension", "missing_score")
"""Reasons that say that an opinion failed to come, not what the opinions say."""
ROUNDING = 1e-9
"""Opinions closer than this to 0.5 are ties: which answer's id comes first decides the last bits
of a probability, and may not decide a label."""
NO_REASON = pl.lit(None, dtype=pl.String)


class ConsensusConfig(BaseModel):
    """The settings every consensus has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_opinions: int = Field(1, gt=0, description="Scored opinions a comparison must have.")
    min_confidence: float = Field(
        0.5, ge=0.5, le=1, description="Least P(preferred answer) of the combined label."
    )
    calibration: str | None = Field(
        None, description="File of the judges' temperatures, from prefdata audit --calibrate."
    )


class Consensus(ABC):
    """Combines the judges' opinions.

    Where `across_buckets`, a label depends on all others: the stage decides once to `summarize`
    every bucket, and again with all summaries joined as `across`.
    """

    kind: ClassVar[str]
    config_model: ClassVar[type[ConsensusConfig]] = ConsensusConfig
    across_buckets: ClassVar[bool] = False

    def __init__(self, settings: dict[str, Any], where: str) -> None:
        self.config = validated(self.config_model, settings, where)
        self._temperatures = load_temperatures(self.config.calibration)

    def label(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """`decide`, with every judge's opinions at its temperature."""
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
    """A group's mean opinion; null where one of them is unscored."""
    p = pl.col("preference")
    return pl.when(p.null_count() == 0).then(p.sort_by(SPEAKER).mean())


def opinions(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row a comparison: its scored opinions counted, averaged and their extremes.

    `scored`, `unscored` (that failed to come), `people` (rows of the judge `people`), `mean`,
    `low`, `high` (of P(a ≻ b)), `for_a` and `for_b` (how many prefer which), `said` (as text).
    """
    p = pl.col("preference")
    whose = pl.concat_str("judge", "annotator", separator=" ", ignore_nulls=True)
    said = pl.format("{} {}", whose, pl.coalesce(p.round(3).cast(pl.String), "unscored"))
    unlabelled = pl.col("unscored").str.starts_with(NOT_LABELLED)
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
    """The contract's columns from `opinions`; the label is their mean, or `preference`.

    `reason` comes after too few opinions and before the rest; `flag` marks labels alone.
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
            reason=pl.when(pl.col("scored") < config.min_opinions)
            .then(pl.lit("too_few_opinions"))
            .when(reason.is_not_null())
            .then(reason)
            .when(p.is_null() | p.is_nan())
            .then(pl.lit("too_few_opinions"))
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
            .then(pl.lit(NOT_LABELLED))
            .otherwise("reason"),
        )
        .select(*COMPARISON, "preference", "agreement", "flag", "reason", "detail")
    )
