"""The pair whose weakest dimension is the strongest: one pair per prompt."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.judgments import list_judgments
from prefdata.pairs.base import Strategy, StrategyConfig
from prefdata.parts.numbers import Real


class MaxMinConfig(StrategyConfig):
    kind: Literal["max_min"] = "max_min"
    min_margin: Real = Field(
        0.0, ge=0, lt=1, examples=[0.2],
        description="Every dimension's margin must be above it.",
    )  # fmt: skip


class MaxMin(Strategy):
    """Pairs the two responses of which one is preferred in every dimension, by the most in the
    dimension that tells them apart the least.

    A dimension's margin is the mean of P(chosen ≻ rejected) - P(rejected ≻ chosen) over its scored
    judgments. The pair is the labelled comparison whose smallest margin is largest: no quality is
    bought with another.
    """

    config: MaxMinConfig
    most = 1
    needs_judgments = True

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        on = ["prompt_id", "chosen_id", "rejected_id"]
        margins = (
            list_judgments(comparisons)
            .drop_nulls("preference")
            .sort(*on, "dimension", "preference")
            .group_by(*on, "dimension", maintain_order=True)
            # Rounded: the last bits of a judgment depend on the order of the two ids.
            .agg(margin=(2 * pl.col("preference").mean() - 1).round(12))
            .sort(*on, "margin", "dimension")
        )
        weakest = margins.unique(on, keep="first", maintain_order=True)
        rows = comparisons.join(weakest, on=on, how="left", maintain_order="left")
        reason = (
            pl.when(pl.col("margin").is_null())
            .then(pl.lit("no_judgment"))
            .when(pl.col("margin") <= self.config.min_margin)
            .then(pl.lit("weak_dimension"))
        )
        # Comparisons without a reason come first within their prompt.
        rows = rows.with_columns(reason=reason).sort(
            "prompt_id", "reason", "margin", "chosen", "rejected",
            descending=[False, False, True, False, False],
        )  # fmt: skip
        first = pl.col("prompt_id").is_first_distinct()
        not_largest = pl.when(~first).then(pl.lit("not_max_min"))
        return rows.with_columns(
            reason=pl.coalesce("reason", not_largest),
            detail=pl.coalesce(
                pl.format("smallest margin {} in {}", pl.col("margin").round(4), "dimension"),
                pl.lit("no scored judgment"),
            ),
        ).select(*comparisons.columns, "reason", "detail")
