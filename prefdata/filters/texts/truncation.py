"""Truncation: responses that were cut off at max_tokens, so they never ended their turn."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.filters.base import Texts
from prefdata.filters.texts.base import FlawConfig, Flaws


class TruncationConfig(FlawConfig):
    kind: Literal["truncation"] = "truncation"


class Truncation(Flaws):
    """See the module."""

    config: TruncationConfig
    code = "truncated"

    def flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        says = pl.format(
            "finish reason length after {} characters; generate.max_tokens is the limit",
            pl.col("text").str.len_chars(),
        )
        return rows.select(pl.when(pl.col("finished").not_()).then(says)).to_series()
