"""Pairs whose responses differ in form."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.filters.base import FilterConfig, RowFilter, Texts, no_fault
from prefdata.inference.loop import Inference


class SameFormConfig(FilterConfig):
    kind: Literal["same_form"] = "same_form"


class SameForm(RowFilter):
    """Drops pairs whose responses differ in form: one has thoughts and the other none, or one calls
    tools and the other does not. Such a pair teaches the form rather than what is said."""

    config: SameFormConfig

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        return pairs.with_columns(no_fault())

    def decide(self, measured: pl.DataFrame) -> pl.DataFrame:
        differs = "only one of the two has thoughts, or only one calls tools"
        return measured.with_columns(
            reason=pl.when(~pl.col("same_form")).then(pl.lit("other_form")),
            detail=pl.lit(differs),
        )
