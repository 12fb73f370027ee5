"""Pairs by their CHES."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.ches.measure import COLUMNS, measure_pairs
from prefdata.ches.which import WHICH_MEASURE
from prefdata.engines.base import Requirement
from prefdata.filters.base import FilterConfig, SummaryFilter, Texts
from prefdata.inference.loop import Inference
from prefdata.messages.completion import COMPLETION_HELP, Completion
from prefdata.parts.numbers import Count, Quantity, Share

_NOT_MEASURED = "not_measured: the stage ches dropped it; the reason is in data/dropped/ches"


class ChesConfig(FilterConfig):
    kind: Literal["ches"] = "ches"
    model: str = Field("policy", description="The model to be trained.", examples=["other"])
    measure: Literal["ches", "ches_normalized"] = Field(
        "ches_normalized", description=f"What is limited. {WHICH_MEASURE}", examples=["ches"]
    )
    completion: Completion = Field("all", description=COMPLETION_HELP, examples=["thoughts"])
    max_quantile: Share | None = Field(
        None, description="Keep this share of all pairs, the lowest.", examples=[0.2]
    )
    max_value: Quantity | None = Field(
        None, description="Keep the pairs up to this value.", examples=[-1.0]
    )
    best_of_prompt: Count | None = Field(
        None, description="Keep this number of each prompt's pairs, the lowest.", examples=[1]
    )

    example: ClassVar[Mapping[str, Any]] = {"max_quantile": 0.8}
    asks_again = frozenset({"model", "completion"})

    @model_validator(mode="after")
    def _check_limits(self) -> ChesConfig:
        limits = (self.max_quantile, self.max_value, self.best_of_prompt)
        if sum(limit is not None for limit in limits) != 1:
            raise ValueError("set exactly one of max_quantile, max_value and best_of_prompt")
        return self


class Ches(SummaryFilter):
    """Drops pairs whose responses look so alike to the policy that DPO would lower the probability
    of the chosen one: the higher CHES (Razin et al., 2024, arXiv 2410.08847, Definition 2), the
    likelier.

    It drops pairs above a value, above a quantile of all pairs (exact: the values of all buckets
    are gathered, eight bytes per pair), or beyond the `best_of_prompt` lowest of a prompt.
    """

    config: ChesConfig

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "hidden_sums")]

    def takes_ches(self, model: str, completion: Completion) -> bool:
        return (self.config.model, self.config.completion) == (model, completion)

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        if texts.ches is not None:
            return _join_measured(pairs, texts.ches)
        ids = pl.concat([pairs["chosen_id"], pairs["rejected_id"]]).unique().sort()
        responses = texts.responses.filter(pl.col("response_id").is_in(ids.implode())).join(
            texts.prompts, on="prompt_id", how="left", maintain_order="left"
        )
        measured = measure_pairs(
            self.config.model, responses, pairs, inference, self.config.completion
        )
        return measured.drop("tokens_chosen", "tokens_rejected")

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        rows = measured if self.config.max_quantile is not None else measured.clear()
        return rows.select(value=self.config.measure).drop_nulls()

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        limit: Any = self.config.max_value
        if self.config.max_quantile is not None:
            values = pl.concat(summaries)["value"]
            limit = values.quantile(self.config.max_quantile, interpolation="lower")
        return pl.DataFrame({"limit": [limit]}, schema={"limit": pl.Float64})

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        name = self.config.measure
        if self.config.best_of_prompt is not None:
            # Equal values are ranked by id, so that a prompt's pairs may come in any order.
            rank = pl.struct(name, "pair_id").rank("ordinal").over("prompt_id")
            ranked = measured.with_columns(rank=rank)
            return ranked.with_columns(
                reason=pl.when(pl.col("rank") > self.config.best_of_prompt).then(
                    pl.lit(f"not_lowest_{name}")
                ),
                detail=pl.format("{} {} is the prompt's {}. lowest", pl.lit(name), name, "rank"),
            ).drop("rank")
        limit = summary["limit"][0]
        return measured.with_columns(
            reason=pl.when(pl.col(name) > limit).then(pl.lit(f"high_{name}")),
            detail=pl.format("{} {} above {}", pl.lit(name), name, pl.lit(limit)),
        )


def _join_measured(pairs: pl.DataFrame, ches: pl.DataFrame) -> pl.DataFrame:
    """The pairs with their CHES from the table; those that it lacks are faults."""
    ids = ["chosen_id", "rejected_id"]
    columns = ches.select(*ids, *COLUMNS)
    # As another filter of this kind may have measured before.
    bare = pairs.drop(COLUMNS, strict=False)
    joined = bare.join(columns, on=ids, how="left", maintain_order="left")
    return joined.with_columns(fault=pl.when(pl.col("ches").is_null()).then(pl.lit(_NOT_MEASURED)))
