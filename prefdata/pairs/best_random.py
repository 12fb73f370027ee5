"""Best against a random other: one pair per prompt."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.hashing.digests import row_digests
from prefdata.pairs.base import Strategy, StrategyConfig
from prefdata.pairs.standings import join_standings
from prefdata.parts.numbers import Whole


class BestRandomConfig(StrategyConfig):
    kind: Literal["best_random"] = "best_random"
    seed: Whole = Field(
        0, ge=0, lt=2**32, description="Another seed draws other rejected responses.", examples=[1]
    )


class BestRandom(Strategy):
    """Pairs a prompt's best response with a random one that it is preferred to.

    As UltraFeedback was binarised for Zephyr (arXiv 2310.16944, section 3.2), where the rejected
    response is drawn instead of the worst taken, for variety. The best one has the highest
    standing, its mean P(win) over its labelled comparisons. The draw depends on the seed and the
    texts alone.
    """

    config: BestRandomConfig
    most = 1

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        rows = join_standings(comparisons)
        draw = row_digests(
            rows.select("chosen", "rejected", seed=pl.lit(self.config.seed)),
            ["seed", "chosen", "rejected"],
        )
        # Of responses with equal standings, the first by its text is the best one.
        rows = rows.with_columns(draw=draw).sort(
            "prompt_id", "standing_chosen", "chosen", "draw",
            descending=[False, True, False, False],
        )  # fmt: skip
        of_best = pl.col("chosen") == pl.col("chosen").first().over("prompt_id")
        first = pl.col("prompt_id").is_first_distinct()
        return rows.with_columns(
            reason=pl.when(~of_best)
            .then(pl.lit("not_of_best"))
            .when(~first)
            .then(pl.lit("not_drawn")),
            detail=pl.format(
                "standing of the chosen response {}, seed {}",
                pl.col("standing_chosen").round(3),
                pl.lit(self.config.seed),
            ),
        ).select(*comparisons.columns, "reason", "detail")
