"""Consensus: data/prompts, data/judgments -> data/labels. One label per comparison.

A comparison without a consensus is dropped with its reason. Changing the settings of the consensus
computes new labels and asks no judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.config.params import Params
from prefdata.consensus.base import Consensus, Labelling, SummaryConsensus
from prefdata.consensus.registry import CONSENSUSES
from prefdata.parts.judge_names import check_judges
from prefdata.pipelines.stages.base import Context, Outcome, Stage
from prefdata.pipelines.stages.judge import name_judges
from prefdata.pipelines.stages.writing import write_outcome
from prefdata.records.dropped import drop_rows
from prefdata.records.judgment import JUDGED
from prefdata.tables.packing import pack, unpack

if TYPE_CHECKING:
    import apache_beam as beam

    from prefdata.accounting.stats import Stats

WHERE = "consensus"


Use = Callable[[Context, int, Labelling], Iterator[Any]]
"""What is done with the labels of a bucket, which has this number."""


class ConsensusStage(Stage):
    """Labels each bucket, by the summaries of all buckets where the consensus needs them."""

    name = "consensus"
    summary = "combine the judgments on each comparison into one label"
    section = "consensus"
    table = "labels"
    parts = CONSENSUSES
    takes = "judgments"
    unit = "comparisons"

    def reads(self, params: Params) -> list[str]:
        return ["prompts", "judgments"]

    def check(self, context: Context) -> None:
        check_judges(make_consensus(context), name_judges(context.params))

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        from prefdata.pipelines.beam.steps import spread_buckets

        return label_buckets(spread_buckets(pipeline, context), context, _write)


def make_consensus(context: Context) -> Consensus:
    """The consensus of params.yaml."""
    return context.runtime.part(CONSENSUSES, context.params.consensus, WHERE)


def label_buckets(
    buckets: beam.PCollection,
    context: Context,
    use: Use,
    suffix: str = "",
) -> beam.PCollection:
    """Label each bucket whose judgments are written; what `use` yields for what was labelled.

    It uses the labels where they are made: on their way to a step of their own they would be packed
    and unpacked. `suffix` makes the names of the steps unique within a pipeline.
    """
    from prefdata.pipelines.beam.steps import apply_step, gather

    summary = None
    if issubclass(CONSENSUSES.parts[context.params.consensus.kind], SummaryConsensus):
        summaries = apply_step(buckets, f"Summarize{suffix}", context, _summarize)
        summary = gather(summaries, f"Gather summaries{suffix}", context, _merge)
    label = partial(_label, use=use)
    return apply_step(buckets, f"Label{suffix}", context, label, summary=summary)


def _summarize(context: Context, bucket: int) -> Iterator[bytes]:
    consensus, judgments, prompts = _read_inputs(context, bucket)
    assert isinstance(consensus, SummaryConsensus)
    yield pack(consensus.summarize(consensus.combine(judgments, prompts)))


def _merge(context: Context, summaries: list[Any]) -> bytes:
    # Summaries come in any order; the labels may not depend on it.
    return pack(pl.concat([unpack(summary) for summary in sorted(summaries)]))


def _label(context: Context, bucket: int, use: Use, summary: bytes | None = None) -> Iterator[Any]:
    consensus, judgments, prompts = _read_inputs(context, bucket)
    across = None if summary is None else unpack(summary)
    yield from use(context, bucket, consensus.label(judgments, prompts, across))


def _read_inputs(context: Context, bucket: int) -> tuple[Consensus, pl.DataFrame, pl.DataFrame]:
    prompts = context.read("prompts", bucket, ["prompt_id", "messages", "source"])
    return make_consensus(context), context.read("judgments", bucket, JUDGED), prompts


def _write(context: Context, bucket: int, labelling: Labelling) -> Iterator[Stats]:
    labels, undecided = labelling
    dropped = drop_rows(undecided, context.stage, COMPARISON, pl.col("fault"))
    outcome = Outcome(labels.height + undecided.height, labels, dropped)
    yield write_outcome(context, context.table("labels"), bucket, outcome)
