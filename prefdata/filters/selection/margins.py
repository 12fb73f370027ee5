"""The base of selections by a margin: filters that keep the pairs at one end of a ranking.

They ask no model: what they go by are the judgments that stand beside each pair.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, model_validator

from prefdata.comparisons.judgments import list_judgments
from prefdata.filters.base import FilterConfig, SummaryFilter, Texts, no_fault
from prefdata.inference.loop import Inference
from prefdata.parts.numbers import Count, Share

_ORDER = ["value", "pair_id"]


class MarginsConfig(FilterConfig):
    share: Share | None = Field(
        None, description="Keep this share of the pairs that have a margin.", examples=[0.3]
    )
    pairs: Count | None = Field(None, description="Keep this number of pairs.", examples=[10])

    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    @model_validator(mode="after")
    def _check_size(self) -> MarginsConfig:
        if (self.share is None) == (self.pairs is None):
            raise ValueError("set exactly one of share and pairs")
        return self


class MarginSelection(SummaryFilter):
    """Ranks all pairs by one number, and keeps those at one end.

    Equal numbers are ordered by the pairs' content ids, so neither the order of the pairs nor the
    buckets matter. The numbers and ids of all buckets are gathered, 48 bytes per pair. A pair
    without a number is dropped.
    """

    config: MarginsConfig
    needs_judgments = True
    largest: ClassVar[bool]
    """Whether the largest numbers are kept, or the smallest."""
    surplus: ClassVar[str]
    """The reason of the pairs at the other end."""

    @abstractmethod
    def rank(self, judgments: pl.DataFrame) -> pl.DataFrame:
        """pair_id and `value`, which is ranked; a pair without a row, or with a null, has none.

        Args:
            judgments: pair_id and the fields of `PairJudgment`.
        """

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        judgments = list_judgments(pairs, ["pair_id"])
        # Rounded: the last bits of a judgment depend on the order of the two ids.
        ranked = self.rank(judgments).select("pair_id", pl.col("value").round(9))
        joined = pairs.join(ranked, on="pair_id", how="left", maintain_order="left")
        return joined.with_columns(no_fault())

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        return measured.select("pair_id", "value").drop_nulls()

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """The last pair that is kept."""
        rows = pl.concat(summaries).sort(_ORDER, descending=[self.largest, False])
        share = self.config.share
        count = self.config.pairs or 0
        if share is not None:
            count = max(1, int(share * rows.height))
        return rows.head(count).tail(1)

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        value, pair_id = pl.col("value"), pl.col("pair_id")
        missing = value.is_null()
        whose = ", ".join(self.judges()) or "one of its judges"
        beyond = pl.lit(False)
        last: Any = None
        if summary.height:
            last = summary["value"][0]
            beyond = value < last if self.largest else value > last
            beyond = beyond | (value == last) & (pair_id > summary["pair_id"][0])
        return measured.with_columns(
            reason=pl.when(missing)
            .then(pl.lit("no_margin"))
            .when(beyond)
            .then(pl.lit(self.surplus)),
            detail=pl.when(missing)
            .then(pl.lit(f"a judgment by {whose} is missing"))
            .otherwise(pl.format("{}; the last that is kept has {}", value.round(4), pl.lit(last))),
        ).drop("value")
