"""A filter that drops pairs whose chosen response shouts."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.sides import join_texts
from prefdata.filters.base import FilterConfig, RowFilter, Texts, no_fault
from prefdata.inference import Inference


class ShoutingConfig(FilterConfig):
    kind: Literal["shouting"] = "shouting"
    max_marks: int = Field(
        3, ge=0, description="The most exclamation marks of a chosen response.", examples=[1]
    )


class Shouting(RowFilter):
    """Drops pairs whose chosen response has more exclamation marks than `max_marks`."""

    config: ShoutingConfig

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        chosen = join_texts(pairs, texts.responses)["chosen"]
        marks = chosen.str.count_matches("!", literal=True).alias("marks")
        return pairs.with_columns(no_fault(), marks)

    def decide(self, measured: pl.DataFrame) -> pl.DataFrame:
        return measured.with_columns(
            reason=pl.when(pl.col("marks") > self.config.max_marks).then(pl.lit("shouting")),
            detail=pl.format("{} exclamation marks", "marks"),
        )
