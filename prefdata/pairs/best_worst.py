"""Best against worst: one pair per prompt."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.pairs.base import Strategy, StrategyConfig
from prefdata.pairs.standings import join_standings


class BestWorstConfig(StrategyConfig):
    kind: Literal["best_worst"] = "best_worst"


class BestWorst(Strategy):
    """Pairs the two responses that stand furthest apart.

    A response's standing is its mean P(win) over the labelled comparisons it takes part in
    (Borda); the pair is the labelled comparison whose two standings are furthest apart.
    """

    config: BestWorstConfig
    most = 1

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        rows = join_standings(comparisons)
        distance = (pl.col("standing_chosen") - pl.col("standing_rejected")).round(12)
        # Rounded: the last bits of a label depend on the order of the two ids.
        label = pl.col("soft_label").round(12)
        rows = rows.with_columns(distance=distance).sort(
            "prompt_id", "distance", label, "chosen", "rejected",
            descending=[False, True, True, False, False],
        )  # fmt: skip
        first = pl.col("prompt_id").is_first_distinct()
        return rows.with_columns(
            reason=pl.when(~first).then(pl.lit("not_best_worst")),
            detail=pl.format("standings {} apart", pl.col("distance").round(3)),
        ).select(*comparisons.columns, "reason", "detail")
