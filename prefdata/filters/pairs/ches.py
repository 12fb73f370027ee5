"""CHES: pairs whose responses look so alike to the policy that DPO pushes the chosen one down.

The score is that of prefdata/inference/ches.py: the higher, the likelier the chosen response's
probability falls in training. What goes is what lies above a value, above a quantile of all pairs
(exact: every pair's score of every bucket is gathered, eight bytes a pair), or behind a prompt's
`best_of_prompt` lowest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.ches.measure import measure_pairs
from prefdata.engines.base import Requirement
from prefdata.filters.base import Filter, FilterConfig, Texts
from prefdata.inference.loop import Inference


class ChesConfig(FilterConfig):
    kind: Literal["ches"] = "ches"
    model: str = "policy"
    score: Literal["ches", "ches_normalized"] = "ches_normalized"
    max_quantile: float | None = Field(None, gt=0, le=1, description="Keep this share, lowest.")
    max_value: float | None = Field(None, description="Keep what is not above it.")
    best_of_prompt: int | None = Field(None, gt=0, description="Keep a prompt's so many lowest.")

    @model_validator(mode="after")
    def _one_limit(self) -> ChesConfig:
        limits = (self.max_quantile, self.max_value, self.best_of_prompt)
        if sum(limit is not None for limit in limits) != 1:
            raise ValueError("set exactly one of max_quantile, max_value and best_of_prompt")
        return self


class Ches(Filter):
    """See the module."""

    config: ChesConfig
    across_buckets = True

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "hidden_sums")]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        ids = pl.concat([pairs["chosen_id"], pairs["rejected_id"]]).unique().sort()
        responses = texts.responses.filter(pl.col("response_id").is_in(ids.implode())).join(
            texts.prompts, on="prompt_id", how="left", maintain_order="left"
        )
        scored = measure_pairs(self.config.model, responses, pairs, inference)
        return scored.drop("tokens_chosen", "tokens_rejected")

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        rows = measured if self.config.max_quantile is not None else measured.clear()
        return rows.select(value=self.config.score).drop_nulls()

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        limit: Any = self.config.max_value
        if self.config.max_quantile is not None:
            values = pl.concat(summaries)["value"]
            limit = values.quantile(self.config.max_quantile, interpolation="lower")
        return pl.DataFrame({"limit": [limit]}, schema={"limit": pl.Float64})

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        assert summary is not None
        name = self.config.score
        if self.config.best_of_prompt is not None:
            # By id where scores are equal, so that a prompt's pairs may come in any order.
            place = pl.struct(name, "pair_id").rank("ordinal").over("prompt_id")
            ranked = measured.with_columns(place=place)
            return ranked.with_columns(
                reason=pl.when(pl.col("place") > self.config.best_of_prompt).then(
                    pl.lit(f"not_lowest_{name}")
                ),
                detail=pl.format("{} {} is the prompt's {}. lowest", pl.lit(name), name, "place"),
            ).drop("place")
        limit = summary["limit"][0]
        return measured.with_columns(
            reason=pl.when(pl.col(name) > limit).then(pl.lit(f"high_{name}")),
            detail=pl.format("{} {} above {}", pl.lit(name), name, pl.lit(limit)),
        )
