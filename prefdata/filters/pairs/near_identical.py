"""Responses too alike to teach anything: Jaccard similarity of their word trigrams."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.sides import with_texts
from prefdata.filters.base import Filter, FilterConfig, Texts, no_fault
from prefdata.inference.loop import Inference


class NearIdenticalConfig(FilterConfig):
    kind: Literal["near_identical"] = "near_identical"
    max_similarity: float = Field(0.9, gt=0, le=1)


class NearIdentical(Filter):
    """See the module."""

    config: NearIdenticalConfig

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        joined = with_texts(pairs, texts.responses)
        return pairs.with_columns(
            no_fault(), similarity=trigram_jaccard(joined["chosen"], joined["rejected"])
        )

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        alike = pl.col("similarity") > self.config.max_similarity
        return measured.with_columns(
            reason=pl.when(alike).then(pl.lit("near_identical_responses")),
            detail=pl.format(
                "similarity {}, max_similarity {}",
                pl.col("similarity").round(4),
                self.config.max_similarity,
            ),
        )


def trigram_jaccard(left: pl.Series, right: pl.Series) -> pl.Series:
    """Row by row: shared distinct word trigrams over all distinct ones, in [0, 1].

    Case is folded; a text of fewer than three words counts as one trigram of what it has.
    """
    both = [_trigrams(left).with_columns(side=0), _trigrams(right).with_columns(side=1)]
    counted = (
        pl.concat(both)
        .group_by("row", "trigram")
        .len("sides")
        .group_by("row")
        .agg(shared=(pl.col("sides") == 2).sum(), all=pl.len())
    )
    rows = pl.DataFrame({"row": range(len(left))}, schema={"row": pl.UInt32})
    return rows.join(counted, on="row", how="left", maintain_order="left").select(
        similarity=pl.col("shared") / pl.col("all")
    )["similarity"]


def _trigrams(texts: pl.Series) -> pl.DataFrame:
    """Distinct (row, trigram)."""
    words = pl.DataFrame({"text": texts}).with_row_index("row")
    words = words.select(
        "row", word=pl.col("text").str.to_lowercase().str.extract_all(r"\S+")
    ).explode("word", empty_as_null=True)
    follows = [
        pl.when(pl.col("row").shift(-k) == pl.col("row")).then(pl.col("word").shift(-k))
        for k in (1, 2)
    ]
    whole = follows[1].is_not_null() | pl.col("row").is_first_distinct()
    trigram = pl.concat_str(["word", *follows], separator=" ", ignore_nulls=True)
    return (
        words.with_columns(trigram=trigram, whole=whole)
        .filter("whole")
        .select("row", "trigram")
        .unique()
    )
