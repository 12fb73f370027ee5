"""Neighbours in a prompt's ranking."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.pairs.base import Strategy, StrategyConfig
from prefdata.pairs.standings import join_standings
from prefdata.parts.numbers import Count


class AdjacentRanksConfig(StrategyConfig):
    kind: Literal["adjacent_ranks"] = "adjacent_ranks"
    max_distance: Count = Field(
        1,
        description="Most ranks that lie between the two responses, plus one: 1 pairs direct "
        "neighbours.",
        examples=[2],
    )  # fmt: skip


class AdjacentRanks(Strategy):
    """Pairs responses that stand next to each other in their prompt's ranking.

    Responses are ranked by their standing, the mean P(win) over their labelled comparisons; equal
    standings share a rank, and ranks are dense. Such pairs are the hardest ones. A comparison whose
    label goes against the ranking becomes no pair.
    """

    config: AdjacentRanksConfig

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        rows = join_standings(comparisons)
        standings = pl.concat(
            rows.select("prompt_id", standing=f"standing_{side}") for side in ("chosen", "rejected")
        ).unique()
        ranks = standings.with_columns(
            rank=pl.col("standing").rank("dense", descending=True).over("prompt_id").cast(pl.Int64)
        )
        for side in ("chosen", "rejected"):
            rows = rows.join(
                ranks.rename({"standing": f"standing_{side}", "rank": f"rank_{side}"}),
                on=["prompt_id", f"standing_{side}"],
                how="left",
                maintain_order="left",
            )
        distance = pl.col("rank_rejected") - pl.col("rank_chosen")
        return rows.with_columns(
            reason=pl.when(distance <= 0)
            .then(pl.lit("against_ranking"))
            .when(distance > self.config.max_distance)
            .then(pl.lit("not_adjacent")),
            detail=pl.format(
                "rank {} over rank {}, max_distance {}",
                "rank_chosen", "rank_rejected", pl.lit(self.config.max_distance),
            ),
        ).select(*comparisons.columns, "reason", "detail")  # fmt: skip
