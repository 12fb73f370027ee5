"""All agreed comparisons whose label is decided enough."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.pairs.base import Strategy, StrategyConfig


class AllAboveMarginConfig(StrategyConfig):
    kind: Literal["all_above_margin"] = "all_above_margin"
    min_margin: float = Field(
        0.1, ge=0, le=1, description="Least P(chosen ≻ rejected) - P(rejected ≻ chosen)."
    )


class AllAboveMargin(Strategy):
    """See the module."""

    config: AllAboveMarginConfig

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        # Rounded: 2 * 0.7 - 1 is a bit below 0.4, and a label's last bits depend on the ids.
        margin = (2 * pl.col("soft_label") - 1).round(12)
        return comparisons.with_columns(
            reason=pl.when(margin < self.config.min_margin).then(pl.lit("below_margin")),
            detail=pl.format("margin {}, min_margin {}", margin.round(4), self.config.min_margin),
        )
