"""The pair of a prompt that is least likely to push its chosen response down: the lowest CHES.

Among a prompt's labelled comparisons with at least `min_margin` between P(chosen) and P(rejected),
the one whose CHES is lowest (prefdata/inference/ches.py). Needs the stage `score`.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.pairs.base import Strategy, StrategyConfig


class LowestChesConfig(StrategyConfig):
    kind: Literal["lowest_ches"] = "lowest_ches"
    score: Literal["ches", "ches_normalized"] = "ches_normalized"
    min_margin: float = Field(0.0, ge=0, lt=1)


class LowestChes(Strategy):
    """See the module."""

    config: LowestChesConfig
    most = 1
    needs_ches = True

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        name, least = self.config.score, self.config.min_margin
        # Rounded, as in all_above_margin: a label's last bits depend on the order of the responses.
        margin = (2 * pl.col("soft_label") - 1).round(12)
        reason = (
            pl.when(pl.col(name).is_null())
            .then(pl.lit("no_ches"))
            .when(margin < least)
            .then(pl.lit("below_margin"))
        )
        rows = comparisons.with_columns(reason=reason).sort(
            "prompt_id",
            "reason",
            name,
            "chosen",
            "rejected",
            nulls_last=[False, False, True, False, False],
        )
        # Those without a reason come first in their prompt.
        first = pl.col("prompt_id").is_first_distinct()
        detail = {
            "no_ches": pl.lit("data/scores has no CHES of it"),
            "below_margin": pl.format("margin {} below {}", margin.round(4), pl.lit(least)),
            f"not_lowest_{name}": pl.format("{} {} is not the lowest", pl.lit(name), name),
        }
        return (
            rows.with_columns(
                reason=pl.coalesce("reason", pl.when(~first).then(pl.lit(f"not_lowest_{name}")))
            )
            .with_columns(
                detail=pl.coalesce(
                    *(pl.when(pl.col("reason") == r).then(d) for r, d in detail.items())
                )
            )
            .select(*comparisons.columns, "reason", "detail")
        )
