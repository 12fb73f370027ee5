"""CHES: pairs whose answers look so alike to the policy that DPO pushes the chosen one down.

Centered hidden embedding similarity, Unintentional Unalignment (arXiv 2410.08847), Definition 2:
with S the sum over an answer's tokens of the last-layer hidden states that predict them,
CHES(chosen, rejected) = <S_chosen, S_rejected> - |S_chosen|². One forward pass an answer gives S;
with the Gram matrix G = S Sᵀ of a prompt's answers CHES(i over j) = G[i,j] - G[i,i] for every
ordered pair at no further cost. The higher, the likelier the chosen answer's probability falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from prefdata.engines.base import Operation, Settings
from prefdata.filters.base import Filter, FilterConfig, Texts
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import matrix

COLUMNS = ("ches", "ches_normalized", "last_hidden_inner_product")


class ChesConfig(FilterConfig):
    model: str = "policy"
    score: Literal["ches", "ches_normalized"] = "ches_normalized"
    max_quantile: float | None = Field(None, gt=0, le=1, description="Keep this share, lowest.")
    max_value: float | None = Field(None, description="Keep what is not above it.")

    @model_validator(mode="after")
    def _one_limit(self) -> ChesConfig:
        if (self.max_quantile is None) == (self.max_value is None):
            raise ValueError("set exactly one of max_quantile and max_value")
        return self


class Ches(Filter):
    """See the module."""

    kind = "ches"
    config_model = ChesConfig
    config: ChesConfig
    across_buckets = True

    def needs(self) -> list[tuple[str, Operation]]:
        return [(self.config.model, "hidden_sums")]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        ids = pl.concat([pairs["chosen_id"], pairs["rejected_id"]]).unique().sort()
        rows = (
            texts.responses.filter(pl.col("response_id").is_in(ids.implode()))
            .join(texts.prompts, on="prompt_id", how="left", maintain_order="left")
            .select("response_id", "messages", "finished", place="prompt_id", completion="text")
        )
        asked = inference.ask(self.config.model, "hidden_sums", Settings(), rows)
        good = asked["error"].is_null()
        where = {r: n for n, r in enumerate(rows["response_id"].filter(good))}
        sums = matrix(asked["hidden_sum"].filter(good))
        last = matrix(asked["last_hidden"].filter(good))
        tokens = asked["n_tokens"].filter(good).to_list()
        errors = dict(zip(rows["response_id"], asked["error"], strict=True))

        columns: dict[str, list[float | None]] = {name: [] for name in COLUMNS}
        faults: list[str | None] = []
        for chosen, rejected in pairs.select("chosen_id", "rejected_id").iter_rows():
            faults.append(errors[chosen] or errors[rejected])
            values: tuple[float | None, ...] = (None, None, None)
            if faults[-1] is None:
                i, j = where[chosen], where[rejected]
                values = (
                    *ches(sums[i], sums[j], tokens[i], tokens[j]),
                    float(last[i] @ (last[j] - last[i])),
                )
                if not all(map(isfinite, values)):
                    faults[-1] = "the hidden states hold infinite or NaN entries"
                    values = (None, None, None)
            for name, value in zip(COLUMNS, values, strict=True):
                columns[name].append(value)
        return pairs.with_columns(
            *(pl.Series(n, v, dtype=pl.Float64) for n, v in columns.items()),
            pl.Series("fault", faults, dtype=pl.String),
        )

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        return measured.select(value=self.config.score).drop_nulls()

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        limit = self.config.max_value
        if limit is None:
            assert self.config.max_quantile is not None
            values = pl.concat(summaries)["value"]
            limit = values.quantile(self.config.max_quantile, interpolation="lower")
        return pl.DataFrame({"limit": [limit]}, schema={"limit": pl.Float64})

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        assert summary is not None
        limit = summary["limit"][0]
        value = pl.col(self.config.score)
        return measured.with_columns(
            reason=pl.when(value > limit).then(pl.lit(f"high_{self.config.score}")),
            detail=pl.format("{} {} above {}", pl.lit(self.config.score), value, pl.lit(limit)),
        )


def ches(
    chosen: np.ndarray, rejected: np.ndarray, n_chosen: int, n_rejected: int
) -> tuple[float, float]:
    """(CHES, length-normalised CHES) from the hidden sums of an ordered pair."""
    cross, own = float(chosen @ rejected), float(chosen @ chosen)
    return cross - own, cross / (n_chosen * n_rejected) - own / n_chosen**2
