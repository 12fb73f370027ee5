"""Ordered criteria."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import TOLERANCE
from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    mean_if_complete,
    tally_judgments,
)
from prefdata.parts.numbers import Real


class CriterionConfig(BaseModel):
    """One criterion: a judge, or one dimension of its judgments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str = Field(description="The judge's name.")
    dimension: str | None = Field(
        None, description="The dimension of its judgments; null: the mean over all of them."
    )
    margin: Real = Field(
        0.1, ge=0, le=0.5, description="Least |P(a ≻ b) - 0.5| that decides; below it: alike."
    )


class HierarchicalConfig(ConsensusConfig):
    kind: Literal["hierarchical"] = "hierarchical"
    criteria: list[CriterionConfig] = Field(
        min_length=1, description="The criteria, the most important first.",
        examples=[[{"judge": "implicit_reward", "dimension": "helpfulness", "margin": 0.3}]],
    )  # fmt: skip

    example: ClassVar[Mapping[str, Any]] = {
        "criteria": [
            {"judge": "pairwise", "margin": 0.2},
            {"judge": "implicit_reward", "margin": 0.05},
        ]
    }


class Hierarchical(Consensus):
    """The first criterion that can decide does.

    HERON (Bukharin et al., Deep Reinforcement Learning from Hierarchical Preference Design, arXiv
    2309.02632, Section 3.1): trajectories are compared by a decision tree over ranked factors,
    each with a margin below which the two count as alike.
    """

    config: HierarchicalConfig

    def judges(self) -> Sequence[str]:
        return [criterion.judge for criterion in self.config.criteria]

    def dimensions(self) -> Sequence[tuple[str | None, str]]:
        return [(c.judge, c.dimension) for c in self.config.criteria if c.dimension is not None]

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        tally = tally_judgments(judgments)
        for n, criterion in enumerate(self.config.criteria):
            judged = judgments.filter(pl.col("judge") == criterion.judge)
            if criterion.dimension is not None:
                judged = judged.filter(pl.col("dimension") == criterion.dimension)
            means = judged.group_by(COMPARISON).agg(mean_if_complete().alias(f"p{n}"))
            tally = tally.join(means, on=COMPARISON, how="left", maintain_order="left")
        preference, missing = pl.lit(0.5), pl.lit(False)
        for n, criterion in reversed(list(enumerate(self.config.criteria))):
            p = pl.col(f"p{n}")
            alike = (p - 0.5).abs() + TOLERANCE < criterion.margin
            # A missing judgment is no tie: it might have decided, so later criteria must not.
            preference = pl.when(p.is_null() | ~alike).then(p).otherwise(preference)
            missing = p.is_null() | (alike & missing)
        reason = pl.when(missing).then(pl.lit("missing_criterion"))
        return label_comparisons(tally, self.config, reason, preference)
