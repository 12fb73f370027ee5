"""All comparisons with a large enough margin."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.pairs.base import Strategy, StrategyConfig, compute_margin
from prefdata.parts.numbers import Fraction


class AllAboveMarginConfig(StrategyConfig):
    kind: Literal["all_above_margin"] = "all_above_margin"
    min_margin: Fraction = Field(
        0.1, examples=[0.4],
        description="Least P(chosen ≻ rejected) - P(rejected ≻ chosen).",
    )  # fmt: skip


class AllAboveMargin(Strategy):
    """Pairs every comparison whose margin reaches `min_margin`."""

    config: AllAboveMarginConfig

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        margin, least = compute_margin(), self.config.min_margin
        return comparisons.with_columns(
            reason=pl.when(margin < least).then(pl.lit("below_margin")),
            detail=pl.format("margin {}, min_margin {}", margin.round(4), least),
        )
