"""A weight a dimension: the weighted sum of log-odds.

MODPO (arXiv 2310.03708, Section 2.2) and MORE (arXiv 2312.07401): what several objectives say is
joined as w · r, and sigmoid of a difference of rewards is a preference. Within a dimension the
judgments' log-odds are averaged; give the judges' temperatures (`calibration`), or the surest of
them outweighs the rest.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field, field_validator

from prefdata.consensus.base import (
    COMPARISON,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
)
from prefdata.records.judgment import SPEAKER
from prefdata.statistics.odds import log_odds, sigmoid


class WeightedSumConfig(ConsensusConfig):
    kind: Literal["weighted_sum"] = "weighted_sum"
    weights: dict[str, float] = Field(
        min_length=1, description="Dimension -> weight; a dimension that is not named counts 0."
    )

    @field_validator("weights")
    @classmethod
    def _some_weigh(cls, weights: dict[str, float]) -> dict[str, float]:
        if min(weights.values()) < 0 or not 0 < sum(weights.values()) < float("inf"):
            raise ValueError(f"weights of 0 or more, one above 0, were expected, found {weights}")
        return weights


class WeightedSum(Consensus):
    """See the module."""

    config: WeightedSumConfig

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        counted = tally_judgments(judgments)
        total, missing = pl.lit(0.0), pl.lit(False)
        for place, (dimension, weight) in enumerate(sorted(self.config.weights.items())):
            if not weight:
                continue
            odds = (
                judgments.filter(pl.col("dimension") == dimension)
                .sort(*SPEAKER, *COMPARISON)
                .group_by(COMPARISON, maintain_order=True)
                .agg(log_odds(pl.col("preference")).mean().alias(f"odds{place}"))
            )
            counted = counted.join(odds, on=COMPARISON, how="left", maintain_order="left")
            missing = missing | pl.col(f"odds{place}").is_null()
            total = total + weight * pl.col(f"odds{place}")
        share = sum(self.config.weights.values())
        reason = pl.when(missing).then(pl.lit("missing_dimension"))
        return labelled(counted, reason, self.config, sigmoid(total / share))
