"""Ordered criteria: the next one is asked only where those before it can't decide.

HERON (Bukharin et al., Deep Reinforcement Learning from Hierarchical Preference Design, arXiv
2309.02632, Section 3.1): trajectories are compared by a decision tree over ranked factors, each
with a margin below which the two count as alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.consensus.base import (
    COMPARISON,
    ROUNDING,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
    whole_mean,
)


class CriterionConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str
    dimension: str | None = Field(None, description="Of a judge that speaks of several.")
    margin: float = Field(
        0.1, ge=0, le=0.5, description="Least |P(a ≻ b) - 0.5| that decides; below: alike."
    )


class HierarchicalConfig(ConsensusConfig):
    kind: Literal["hierarchical"] = "hierarchical"
    criteria: list[CriterionConfig] = Field(min_length=1, description="The weightiest first.")


class Hierarchical(Consensus):
    """See the module."""

    config: HierarchicalConfig

    def judges(self) -> Sequence[str]:
        return [criterion.judge for criterion in self.config.criteria]

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        counted = tally_judgments(judgments)
        for place, criterion in enumerate(self.config.criteria):
            own = judgments.filter(pl.col("judge") == criterion.judge)
            if criterion.dimension is not None:
                own = own.filter(pl.col("dimension") == criterion.dimension)
            # A judge of several qualities that are not told apart decides by their mean.
            said = own.group_by(COMPARISON).agg(whole_mean().alias(f"p{place}"))
            counted = counted.join(said, on=COMPARISON, how="left", maintain_order="left")
        preference, missing = pl.lit(0.5), pl.lit(False)
        for place, criterion in reversed(list(enumerate(self.config.criteria))):
            p = pl.col(f"p{place}")
            alike = (p - 0.5).abs() + ROUNDING < criterion.margin
            # Unscored is no tie: who is missing might have decided, so nobody after it may.
            preference = pl.when(p.is_null() | ~alike).then(p).otherwise(preference)
            missing = p.is_null() | (alike & missing)
        reason = pl.when(missing).then(pl.lit("missing_criterion"))
        return labelled(counted, reason, self.config, preference)
