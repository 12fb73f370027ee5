"""Pairs whose responses have nearly the same words."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.sides import join_texts
from prefdata.filters.base import FilterConfig, RowFilter, Texts, no_fault
from prefdata.inference.loop import Inference
from prefdata.parts.numbers import Share
from prefdata.text.shingles import trigram_similarity


class NearIdenticalConfig(FilterConfig):
    kind: Literal["near_identical"] = "near_identical"
    max_similarity: Share = Field(
        0.9,
        description="Largest Jaccard similarity of the responses' word trigrams.",
        examples=[0.7],
    )


class NearIdentical(RowFilter):
    """Drops pairs whose responses are too alike to teach anything, by the Jaccard similarity of
    their word trigrams."""

    config: NearIdenticalConfig

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        joined = join_texts(pairs, texts.responses)
        similarity = trigram_similarity(joined["chosen"], joined["rejected"])
        return pairs.with_columns(no_fault(), similarity=similarity)

    def decide(self, measured: pl.DataFrame) -> pl.DataFrame:
        alike = pl.col("similarity") > self.config.max_similarity
        return measured.with_columns(
            reason=pl.when(alike).then(pl.lit("near_identical_responses")),
            detail=pl.format(
                "similarity {}, max_similarity {}",
                pl.col("similarity").round(4),
                self.config.max_similarity,
            ),
        )
