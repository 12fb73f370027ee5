"""Truncated responses."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.filters.base import Texts
from prefdata.filters.texts.base import TextFilter, TextFilterConfig


class TruncationConfig(TextFilterConfig):
    kind: Literal["truncation"] = "truncation"


class Truncation(TextFilter):
    """Drops responses that were cut off at max_tokens before the turn ended."""

    code = "truncated"
    config: TruncationConfig

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        flaw = pl.format(
            "finish reason length after {} characters; generate.max_tokens is the limit",
            pl.col("text").str.len_chars(),
        )
        return rows.select(pl.when(pl.col("finished").not_()).then(flaw)).to_series()
