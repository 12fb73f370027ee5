"""A weighted sum of dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, field_validator

from prefdata.comparisons.keys import COMPARISON
from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)
from prefdata.parts.numbers import Weight
from prefdata.records.judgment import SPEAKER
from prefdata.statistics.odds import log_odds, sigmoid


class WeightedSumConfig(ConsensusConfig):
    kind: Literal["weighted_sum"] = "weighted_sum"
    weights: dict[str, Weight] = Field(
        min_length=1, examples=[{"helpfulness": 1.0}],
        description="Dimension -> weight; a dimension that is not named counts 0.",
    )  # fmt: skip

    example: ClassVar[Mapping[str, Any]] = {"weights": {"helpfulness": 0.7, "safety": 0.3}}

    @field_validator("weights")
    @classmethod
    def _weighs_something(cls, weights: dict[str, float]) -> dict[str, float]:
        if not sum(weights.values()):
            raise ValueError(f"one weight above 0 was expected, found {weights}")
        return weights


class WeightedSum(Consensus):
    """The weighted mean of the dimensions' log-odds.

    MODPO (arXiv 2310.03708, Section 2.2) and MORE (arXiv 2312.07401): several objectives are
    joined as w · r, and sigmoid of a difference of rewards is a preference. Within a dimension the
    judgments' log-odds are averaged; set `calibration`, or the most confident judge
    outweighs the others.
    """

    config: WeightedSumConfig

    def dimensions(self) -> Sequence[tuple[str | None, str]]:
        return [(None, dimension) for dimension, weight in self.config.weights.items() if weight]

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        tally = tally_judgments(judgments)
        weights = {name: w for name, w in sorted(self.config.weights.items()) if w}
        total, missing = pl.lit(0.0), pl.lit(False)
        for n, (dimension, weight) in enumerate(weights.items()):
            odds = (
                judgments.filter(pl.col("dimension") == dimension)
                .sort(*SPEAKER, *COMPARISON)
                .group_by(COMPARISON, maintain_order=True)
                .agg(log_odds(pl.col("preference")).mean().alias(f"odds{n}"))
            )
            tally = tally.join(odds, on=COMPARISON, how="left", maintain_order="left")
            missing = missing | pl.col(f"odds{n}").is_null()
            total = total + weight * pl.col(f"odds{n}")
        reason = pl.when(missing).then(pl.lit("missing_dimension"))
        preference = sigmoid(total / sum(self.config.weights.values()))
        return label_comparisons(tally, self.config, reason, preference)
