"""The lowest CHES: one pair per prompt."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.ches.which import WHICH_MEASURE
from prefdata.pairs.base import Strategy, StrategyConfig, compute_margin
from prefdata.parts.numbers import Fraction


class LowestChesConfig(StrategyConfig):
    kind: Literal["lowest_ches"] = "lowest_ches"
    measure: Literal["ches", "ches_normalized"] = Field(
        "ches_normalized",
        description=f"The measure to minimise. {WHICH_MEASURE}",
        examples=["ches"],
    )
    min_margin: Fraction = Field(
        0.0, examples=[0.2],
        description="Least P(chosen ≻ rejected) - P(rejected ≻ chosen).",
    )  # fmt: skip


class LowestChes(Strategy):
    """Pairs the two responses least likely to make training lower the chosen one's probability.

    Among a prompt's labelled comparisons with a margin of at least `min_margin`, the one whose
    CHES (arXiv 2410.08847, Definition 2) is lowest. Needs the stage `ches`.
    """

    config: LowestChesConfig
    most = 1
    needs_ches = True

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        measure, least = self.config.measure, self.config.min_margin
        margin = compute_margin()
        reason = (
            pl.when(pl.col(measure).is_null())
            .then(pl.lit("no_ches"))
            .when(margin < least)
            .then(pl.lit("below_margin"))
        )
        rows = comparisons.with_columns(reason=reason).sort(
            "prompt_id", "reason", measure, "chosen", "rejected",
            nulls_last=[False, False, True, False, False],
        )  # fmt: skip
        # Comparisons without a reason come first within their prompt.
        first = pl.col("prompt_id").is_first_distinct()
        details = {
            "no_ches": pl.lit("data/ches has no row for it"),
            "below_margin": pl.format("margin {} below {}", margin.round(4), pl.lit(least)),
            f"not_lowest_{measure}": pl.format("{} {} is not the lowest", pl.lit(measure), measure),
        }
        not_lowest = pl.when(~first).then(pl.lit(f"not_lowest_{measure}"))
        return (
            rows.with_columns(reason=pl.coalesce("reason", not_lowest))
            .with_columns(
                detail=pl.coalesce(
                    *(pl.when(pl.col("reason") == code).then(d) for code, d in details.items())
                )
            )
            .select(*comparisons.columns, "reason", "detail")
        )
