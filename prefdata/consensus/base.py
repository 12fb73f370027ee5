"""The contract of a consensus, and what the ways of reaching one share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.config.load import validated

COMPARISON = ("prompt_id", "response_a", "response_b")


class ConsensusConfig(BaseModel):
    """The settings every consensus has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_opinions: int = Field(1, gt=0, description="Scored opinions a comparison must have.")
    min_confidence: float = Field(
        0.5, ge=0.5, le=1, description="Least P(preferred answer) of the combined label."
    )


class Consensus(ABC):
    """Combines the judges' opinions."""

    kind: ClassVar[str]
    config_model: ClassVar[type[ConsensusConfig]] = ConsensusConfig

    def __init__(self, settings: dict[str, Any], where: str) -> None:
        self.config = validated(self.config_model, settings, where)

    @abstractmethod
    def decide(self, judgments: pl.DataFrame) -> pl.DataFrame:
        """One row a comparison: prompt_id, response_a, response_b, preference (P(a ≻ b)),
        agreement, reason and detail; reason is null exactly where there is a label.
        """


def opinions(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row a comparison: its scored opinions counted, averaged and their extremes.

    `scored`, `unscored`, `mean`, `low`, `high` (of P(a ≻ b)), `for_a` and `for_b` (how many
    prefer which), `said` (the opinions as text).
    """
    p = pl.col("preference")
    said = pl.format("{} {}", "judge", pl.coalesce(p.round(3).cast(pl.String), "unscored"))
    return (
        # Sorted first: floating-point sums must not depend on the order of the judges.
        judgments.sort("judge")
        .group_by(COMPARISON, maintain_order=True)
        .agg(
            scored=p.count(),
            unscored=p.null_count(),
            mean=p.mean(),
            low=p.min(),
            high=p.max(),
            for_a=(p > 0.5).sum(),
            for_b=(p < 0.5).sum(),
            said=said.str.join(", "),
        )
    )


def labelled(counted: pl.DataFrame, reason: pl.Expr, config: ConsensusConfig) -> pl.DataFrame:
    """The contract's columns from `opinions`; `reason` comes after too few and before the rest."""
    mean = pl.col("mean")
    confidence = pl.max_horizontal(mean, 1 - mean)
    return counted.with_columns(
        preference=mean,
        agreement=pl.when(mean > 0.5).then("for_a").otherwise("for_b") / pl.col("scored"),
        reason=pl.when(pl.col("scored") < config.min_opinions)
        .then(pl.lit("too_few_opinions"))
        .when(reason.is_not_null())
        .then(reason)
        .when(mean == 0.5)
        .then(pl.lit("tie"))
        .when(confidence < config.min_confidence)
        .then(pl.lit("low_confidence")),
        detail="said",
    ).select(*COMPARISON, "preference", "agreement", "reason", "detail")
