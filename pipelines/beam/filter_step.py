"""The steps of one filter over all buckets, and the state of a bucket between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from prefdata.accounting.stats import PartStats, Stats, add_usage
from prefdata.engines.base import error_code
from prefdata.filters.base import (
    ExchangeFilter,
    FilterConfig,
    RowFilter,
    SummarizingFilter,
    Texts,
)
from prefdata.filters.registry import FILTERS
from prefdata.inference.usage import Usage
from prefdata.pipelines.beam.exchange import exchange
from prefdata.pipelines.beam.spill import Spilled, read_spilled, spill
from prefdata.pipelines.stages.base import Context
from prefdata.pipelines.stages.filter import takes_ches
from prefdata.records import FilteredPair
from prefdata.records.dropped import drop_rows, no_dropped
from prefdata.tables.packing import pack, unpack

if TYPE_CHECKING:
    import apache_beam as beam

_RECORD = ("pair_id", "prompt_id", "chosen_id", "rejected_id")


@dataclass(frozen=True)
class State:
    """A bucket on its way through the filters: the remaining pairs and the dropped records."""

    bucket: int
    rows_in: int
    pairs: Spilled
    dropped: Spilled
    usage: dict[str, Usage] = field(default_factory=dict)
    filters: dict[str, PartStats] = field(default_factory=dict)

    def count(self, label: str, counts: PartStats) -> State:
        """The state with `counts` added to those of the filter `label`."""
        total = self.filters.get(label, PartStats()).plus(counts)
        return replace(self, filters={**self.filters, label: total})

    def drop(self, context: Context, rows: pl.DataFrame, label: str, fault: bool) -> State:
        """The state with `rows`, which have reason and detail, added to the dropped records."""
        if not rows.height:
            return self
        fallen = drop_rows(rows, "filter", _RECORD, fault)
        dropped = pl.concat([read_spilled(self.dropped), fallen])
        reasons = rows.group_by("reason").len().sort("reason")
        counts = PartStats(dropped=dict(reasons.iter_rows()))
        return replace(self, dropped=spill(context, dropped)).count(label, counts)


def load_bucket(context: Context, bucket: int) -> Iterator[State]:
    """The state before the first filter."""
    pairs = context.read("augmented", bucket)
    yield State(bucket, pairs.height, spill(context, pairs), spill(context, no_dropped()))


@dataclass(frozen=True)
class FilterStep:
    """One filter of the stage. The filter itself is made where its steps run.

    Attributes:
        config: Its configuration.
        where: The place of the configuration in params.yaml.
        label: The key of its counts.
    """

    config: FilterConfig
    where: str
    label: str

    def apply(
        self, states: beam.PCollection, context: Context
    ) -> tuple[beam.PCollection, beam.PCollection | None]:
        """The states after the filter, and `Stats` with its figures; None for a `RowFilter`."""
        from prefdata.pipelines.beam.steps import apply_step, gather

        shape = FILTERS.parts[self.config.kind]
        measured = apply_step(states, f"Measure {self.label}", context, self.measure)
        if issubclass(shape, RowFilter):
            return apply_step(measured, f"Decide {self.label}", context, self.decide), None
        summary = None
        if issubclass(shape, SummarizingFilter):
            summaries = apply_step(measured, f"Summarize {self.label}", context, self.summarize)
            summary = gather(summaries, f"Merge {self.label}", context, self.merge)
        if issubclass(shape, ExchangeFilter):
            summary = exchange(measured, summary, context, self, shape.rounds)
        assert summary is not None, f"{self.config.kind} has none of the shapes of a filter"
        left = apply_step(measured, f"Decide {self.label}", context, self.decide, summary=summary)
        return left, apply_step(
            summary, f"Figures {self.label}", context, self.take_figures, brief=True
        )

    def find(self, context: Context) -> Any:
        """The filter, set up."""
        return context.runtime.part(FILTERS, self.config, self.where)

    def measure(self, context: Context, state: State) -> Iterator[State]:
        """Add the filter's columns, and drop pairs as faults where a model call failed."""
        pairs = read_spilled(state.pairs)
        if not pairs.height:
            yield state
            return
        prompts = context.read("prompts", state.bucket, ["prompt_id", "messages", "tools"])
        part = self.find(context)
        ches = context.read("ches", state.bucket) if takes_ches(part, context.params) else None
        texts = Texts(prompts, context.read_responses(state.bucket), ches)
        inference = context.inference()
        measured = part.measure(pairs, texts, inference)
        failed = measured.filter(pl.col("fault").is_not_null()).with_columns(
            reason=error_code(pl.col("fault")), detail="fault"
        )
        left = measured.filter(pl.col("fault").is_null()).drop("fault")
        counted = state.count(self.label, PartStats(rows_in=pairs.height))
        yield replace(
            counted.drop(context, failed, self.label, fault=True),
            pairs=spill(context, left),
            usage=add_usage(state.usage, inference.usage),
        )

    def summarize(self, context: Context, state: State) -> Iterator[bytes]:
        """The summary of a bucket that has any pairs, packed."""
        measured = read_spilled(state.pairs)
        if measured.height:
            yield pack(self.find(context).summarize(measured))

    def merge(self, context: Context, summaries: list[bytes]) -> bytes | None:
        """The summary of all buckets, packed; None where there is no pair."""
        if not summaries:
            return None
        return pack(self.find(context).merge([unpack(summary) for summary in summaries]))

    def decide(
        self, context: Context, state: State, summary: bytes | None = None
    ) -> Iterator[State]:
        """Keep or drop each pair; of the added columns keep those of `FilteredPair`."""
        measured = read_spilled(state.pairs)
        if not measured.height:
            yield state
            return
        arguments = [] if summary is None else [unpack(summary)]
        decided = self.find(context).decide(measured, *arguments)
        columns = [c for c in decided.columns if c in FilteredPair.model_fields]
        left = decided.filter(pl.col("reason").is_null()).select(columns)
        dropped = decided.filter(pl.col("reason").is_not_null())
        counted = state.count(self.label, PartStats(rows_out=left.height))
        kept = spill(context, left)
        yield replace(counted.drop(context, dropped, self.label, fault=False), pairs=kept)

    def take_figures(self, context: Context, summary: bytes | None) -> Iterator[Stats]:
        """The figures of all pairs, for the funnel."""
        if summary is not None:
            figures = self.find(context).figures(unpack(summary))
            yield Stats(filters={self.label: PartStats(figures=figures)})
