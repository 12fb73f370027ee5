"""A limit on the number of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.filters.base import FilterConfig, SummaryFilter, Texts, no_fault
from prefdata.inference.loop import Inference

_ORDER = ["rank", "decided", "pair_id"]
_DESCENDING = [False, True, False]


class LimitConfig(FilterConfig):
    kind: Literal["limit"] = "limit"
    per_prompt: int | None = Field(None, gt=0, description="Most pairs per prompt.", examples=[1])
    pairs: int | None = Field(None, gt=0, description="Most pairs in all.", examples=[1])

    example: ClassVar[Mapping[str, Any]] = {"pairs": 60}

    @model_validator(mode="after")
    def _check_limits(self) -> LimitConfig:
        if self.per_prompt is None and self.pairs is None:
            raise ValueError("set per_prompt, pairs or both")
        return self


class Limit(SummaryFilter):
    """Keeps a limited number of pairs: those with the most confident labels.

    Every prompt's best pair comes before any prompt's second. Pairs of equal rank are ordered by
    the label's P(chosen ≻ rejected), and then by their content id, so the choice depends neither
    on the order of the pairs nor on the buckets.
    """

    config: LimitConfig

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        return pairs.with_columns(no_fault())

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        return _rank(measured, self.config).head(self.config.pairs or 0)

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """The last pair that is kept; no row where there are fewer pairs than the limit."""
        rows = pl.concat(summaries).sort(_ORDER, descending=_DESCENDING)
        pairs = self.config.pairs or 0
        return rows[pairs - 1 : pairs] if pairs else rows.clear()

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        stays = _rank(measured, self.config)
        if summary.height:
            rank, decided, pair_id = summary.row(0)
            stays = stays.filter(
                (pl.col("rank") < rank)
                | (pl.col("rank") == rank) & (pl.col("decided") > decided)
                | (pl.col("rank") == rank)
                & (pl.col("decided") == decided)
                & (pl.col("pair_id") <= pair_id)
            )
        ids = stays["pair_id"].implode()
        settings = self.config.model_dump(exclude_none=True, exclude={"kind"})
        limits = ", ".join(f"{name} {value}" for name, value in settings.items())
        return measured.with_columns(
            reason=pl.when(~pl.col("pair_id").is_in(ids)).then(pl.lit("surplus")),
            detail=pl.lit(f"others are more decided; {limits}"),
        )


def _rank(pairs: pl.DataFrame, config: LimitConfig) -> pl.DataFrame:
    """rank (0 for a prompt's best), decided and pair_id, sorted; without pairs over per_prompt."""
    # Rounded: the last bits of a label depend on the order of the two ids.
    rows = pairs.select("prompt_id", "pair_id", decided=pl.col("soft_label").round(12))
    rows = rows.sort(["decided", "pair_id"], descending=[True, False])
    rows = rows.with_columns(rank=pl.int_range(pl.len()).over("prompt_id"))
    if config.per_prompt is not None:
        rows = rows.filter(pl.col("rank") < config.per_prompt)
    return rows.select(_ORDER).sort(_ORDER, descending=_DESCENDING)
