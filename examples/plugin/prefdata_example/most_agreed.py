"""A strategy that chooses each prompt's comparison with the most agreement."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.pairs.base import Strategy, StrategyConfig


class MostAgreedConfig(StrategyConfig):
    kind: Literal["most_agreed"] = "most_agreed"


class MostAgreed(Strategy):
    """Chooses one pair per prompt: the labelled comparison on which most judgments agree."""

    config: MostAgreedConfig
    most = 1

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        # Ties are broken by the texts, never by ids or the order of the rows.
        ranked = comparisons.sort(
            "prompt_id", "agreement", "soft_label", "chosen", "rejected",
            descending=[False, True, True, False, False],
        )  # fmt: skip
        is_first = pl.col("prompt_id").is_first_distinct()
        return ranked.with_columns(
            reason=pl.when(~is_first).then(pl.lit("not_most_agreed")),
            detail=pl.format("agreement {}", pl.col("agreement").round(3)),
        )
