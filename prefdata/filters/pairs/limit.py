"""A limit on the number of pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.filters.base import FilterConfig, SummaryFilter, Texts, no_fault
from prefdata.inference.loop import Inference
from prefdata.parts.numbers import Count

_ORDER = ["rank", "decided", "pair_id"]
_DESCENDING = [False, True, False]
_POLICIES = ["chosen_policy", "rejected_policy"]


class LimitConfig(FilterConfig):
    kind: Literal["limit"] = "limit"
    per_prompt: Count | None = Field(None, description="Most pairs per prompt.", examples=[1])
    per_policy: Count | None = Field(
        None,
        description="Most pairs with a response of the same policy, chosen or rejected.",
        examples=[1],
    )
    pairs: Count | None = Field(None, description="Most pairs in all.", examples=[1])

    example: ClassVar[Mapping[str, Any]] = {"pairs": 60}

    @model_validator(mode="after")
    def _check_limits(self) -> LimitConfig:
        if self.per_prompt is None and self.per_policy is None and self.pairs is None:
            raise ValueError("set per_prompt, per_policy, pairs or several of them")
        return self


class Limit(SummaryFilter):
    """Keeps a limited number of pairs: those with the most confident labels.

    Every prompt's best pair comes before any prompt's second. Pairs of equal rank are ordered by
    the label's P(chosen ≻ rejected), and then by their content id, so the choice depends neither
    on the order of the pairs nor on the buckets. With `per_policy`, pairs are taken in that order
    as long as both of their policies have room.
    """

    config: LimitConfig

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        return pairs.with_columns(no_fault())

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        rows = _rank(measured, self.config)
        if self.config.per_policy is None:
            return rows.head(self.config.pairs or 0)
        # Of the pairs of two policies, those that stay are the first ones, and at most so many:
        # once a policy is full it stays so.
        return rows.filter(pl.int_range(pl.len()).over(_POLICIES) < self.config.per_policy)

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """The last pair that is kept of each two policies or, without `per_policy`, of all; then no
        row where there are fewer pairs than the limit."""
        rows = pl.concat(summaries).sort(_ORDER, descending=_DESCENDING)
        if self.config.per_policy is not None:
            kept = _take_while_room(rows, self.config.per_policy, self.config.pairs)
            return kept.unique(_POLICIES, keep="last", maintain_order=True)
        pairs = self.config.pairs or 0
        return rows[pairs - 1 : pairs] if pairs else rows.clear()

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        stays = _rank(measured, self.config)
        if self.config.per_policy is not None:
            stays = _keep_up_to(stays.join(summary, on=_POLICIES, suffix="_last"))
        elif summary.height:
            stays = _keep_up_to(stays.join(summary, how="cross", suffix="_last"))
        ids = stays["pair_id"].implode()
        settings = self.config.model_dump(exclude_none=True, exclude={"kind"})
        limits = ", ".join(f"{name} {value}" for name, value in settings.items())
        return measured.with_columns(
            reason=pl.when(~pl.col("pair_id").is_in(ids)).then(pl.lit("surplus")),
            detail=pl.lit(f"others are more decided; {limits}"),
        )


def _rank(pairs: pl.DataFrame, config: LimitConfig) -> pl.DataFrame:
    """rank (0 for a prompt's best), decided, pair_id and the two policies, sorted; without pairs
    over per_prompt."""
    # Rounded: the last bits of a label depend on the order of the two ids.
    decided = pl.col("soft_label").round(12)
    rows = pairs.select("prompt_id", "pair_id", *_POLICIES, decided=decided)
    rows = rows.sort(["decided", "pair_id"], descending=[True, False])
    rows = rows.with_columns(rank=pl.int_range(pl.len()).over("prompt_id"))
    if config.per_prompt is not None:
        rows = rows.filter(pl.col("rank") < config.per_prompt)
    return rows.select(*_ORDER, *_POLICIES).sort(_ORDER, descending=_DESCENDING)


def _keep_up_to(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are no later in the order than the one in their columns `…_last`."""
    rank, decided, pair_id = (pl.col(name) for name in _ORDER)
    same_rank = rank == pl.col("rank_last")
    same = same_rank & (decided == pl.col("decided_last"))
    return rows.filter(
        (rank < pl.col("rank_last"))
        | same_rank & (decided > pl.col("decided_last"))
        | same & (pair_id <= pl.col("pair_id_last"))
    )


def _take_while_room(rows: pl.DataFrame, per_policy: int, pairs: int | None) -> pl.DataFrame:
    """The rows, in their order, that are taken as long as both policies have room."""
    counts: Counter[str] = Counter()
    taken = []
    # Row by row, because each depends on those before; there are few, see `summarize`.
    for number, policies in enumerate(rows.select(_POLICIES).iter_rows()):
        if all(counts[policy] < per_policy for policy in policies):
            counts.update({*policies})
            taken.append(number)
    return rows[taken].head(rows.height if pairs is None else pairs)
