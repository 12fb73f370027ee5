"""Judgments and labels of what judges say now, beside those of what they said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import compute_verdict
from prefdata.dataset.receipt import JudgeReceipt, LabelsReceipt
from prefdata.pipelines.stages.base import Context
from prefdata.pipelines.stages.consensus import make_consensus
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER


@dataclass(frozen=True)
class JudgedAgain:
    """A bucket's judgments of one judge, then and now; of `covered` prompts all was asked again."""

    bucket: int
    judge: str
    then: pl.DataFrame
    now: pl.DataFrame
    covered: frozenset[str]
    asked: bool

    def select_covered(self, judgments: pl.DataFrame) -> pl.DataFrame:
        """Those of the judgments that are of covered prompts."""
        return judgments.filter(pl.col("prompt_id").is_in(sorted(self.covered)))


def compare_judges(rows: Sequence[JudgedAgain]) -> Iterator[tuple[str, JudgeReceipt]]:
    """Each judge that was asked again, and how its judgments differ."""
    for name in dict.fromkeys(each.judge for each in rows if each.asked):
        own = [each for each in rows if each.judge == name]
        then = pl.concat(each.select_covered(each.then) for each in own)
        now = pl.concat(each.select_covered(each.now) for each in own)
        there = ~pl.col("unscored").str.starts_with(NOT_ANNOTATED).fill_null(False)
        keys = [*COMPARISON, *SPEAKER]
        both = then.filter(there).join(now, on=keys, nulls_equal=True, suffix="_now")
        turned = compute_verdict(pl.col("preference")) != compute_verdict(pl.col("preference_now"))
        lost = pl.col("preference").is_null() != pl.col("preference_now").is_null()
        delta = (pl.col("preference") - pl.col("preference_now")).abs()
        flips, gone, largest = both.select(turned.sum(), lost.sum(), d=delta.max()).row(0)
        yield (
            name,
            JudgeReceipt(judgments=both.height, flips=flips, lost=gone, max_delta=largest or 0.0),
        )


def compare_labels(context: Context, rows: Sequence[JudgedAgain]) -> LabelsReceipt | None:
    """The labels by what each judge says now, of prompts that all judges judged anew."""
    covered: dict[int, frozenset[str]] = {}
    for each in rows:
        covered[each.bucket] = covered.get(each.bucket, each.covered) & each.covered
    chosen = sorted(prompt for each in covered.values() for prompt in each)
    if not chosen or not any(each.asked for each in rows):
        return None
    whole = pl.col("prompt_id").is_in(chosen)
    buckets = sorted({each.bucket for each in rows})
    columns = ["prompt_id", "messages", "source"]
    prompts = pl.concat([context.read("prompts", each, columns) for each in buckets])
    consensus = make_consensus(context)
    then, now = (
        consensus.label(pl.concat(tables).filter(whole), prompts.filter(whole)).labels
        for tables in ([each.then for each in rows], [each.now for each in rows])
    )
    comparisons = pl.concat([each.then.filter(whole) for each in rows])
    return _compare_preferences(then, now, comparisons.select(COMPARISON).n_unique())


def _compare_preferences(then: pl.DataFrame, now: pl.DataFrame, comparisons: int) -> LabelsReceipt:
    both = then.join(now, on=COMPARISON, suffix="_now")
    turned = (pl.col("preference") > 0.5) != (pl.col("preference_now") > 0.5)
    return LabelsReceipt(
        comparisons=comparisons,
        flips=int(both.select(turned.sum()).item()),
        lost=then.height + now.height - 2 * both.height,
    )
