"""Filter: data/augmented -> data/filtered. Each filter sees what those before it kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from prefdata.accounting.stats import FilterStats, Stats, account, add_usage
from prefdata.config.params import Params
from prefdata.engines.base import Requirement, error_code
from prefdata.filters.base import Filter, FilterConfig, Texts
from prefdata.filters.pairs.limit import LimitConfig
from prefdata.filters.registry import FILTERS
from prefdata.inference.usage import Usage
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages.base import Context, Outcome, Stage, write_outcome
from prefdata.records import FilteredPair
from prefdata.records.base import fill_columns
from prefdata.records.dropped import drop_rows, no_dropped

if TYPE_CHECKING:
    import apache_beam as beam

WHERE = "filter.filters"
DRY_RUN = "filter-dry-run"
"""The name under which a dry run leaves its counts, beside those of the stage."""

_RECORD = ["pair_id", "prompt_id", "chosen_id", "rejected_id"]


@dataclass(frozen=True)
class State:
    """A bucket on its way through the filters: what they kept and dropped, both packed."""

    bucket: int
    rows_in: int
    kept: bytes
    dropped: bytes
    usage: dict[str, Usage] = field(default_factory=dict)
    filters: dict[str, FilterStats] = field(default_factory=dict)

    def count(self, label: str, counts: FilterStats) -> State:
        """With the counts added to those of the filter."""
        total = self.filters.get(label, FilterStats()).plus(counts)
        return replace(self, filters={**self.filters, label: total})

    def drop(self, rows: pl.DataFrame, label: str, fault: bool) -> State:
        """With these rows, which have reason and detail, among the dropped ones."""
        if not rows.height:
            return self
        dropped = pl.concat([unpack(self.dropped), drop_rows(rows, "filter", _RECORD, fault)])
        reasons = rows.group_by("reason").len().sort("reason")
        counts = FilterStats(dropped=dict(reasons.iter_rows()))
        return replace(self, dropped=pack(dropped)).count(label, counts)


class FilterStage(Stage):
    """Applies the filters in their order, each over all buckets."""

    name = "filter"
    summary = "drop pairs that teach the wrong thing, or nothing"
    section = "filter"
    table = "filtered"
    unit = "pairs"

    def reads(self, params: Params) -> list[str]:
        return ["augmented", "prompts", "responses"]

    def requirements(self, params: Params) -> list[Requirement]:
        filters = FILTERS.build_all(list_filters(params), WHERE)
        return [requirement for each in filters for requirement in each.requirements()]

    def check(self, context: Context) -> None:
        make_filters(context)

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        import apache_beam as beam

        from prefdata.pipelines.beam.steps import apply_step, spread_buckets

        states = apply_step(spread_buckets(pipeline, context), "Load", context, _load)
        figures = []
        for position, label in enumerate(label_filters(context.params)):
            states, summary = _apply_filter(states, context, position, label)
            if summary is not None:
                take = partial(_take_figures, position=position, label=label)
                figures.append(apply_step(summary, f"Figures {label}", context, take))
        written = apply_step(states, "Write", context, self._finish_bucket)
        return (written, *figures) | "All counts" >> beam.Flatten()

    def _finish_bucket(self, context: Context, state: State) -> Iterator[Stats]:
        rows = fill_columns(unpack(state.kept), FilteredPair)
        outcome = Outcome(state.rows_in, rows, unpack(state.dropped), state.usage)
        stats = self.write(context, state.bucket, outcome)
        yield stats.model_copy(update={"filters": state.filters})

    def write(self, context: Context, bucket: int, outcome: Outcome) -> Stats:
        """Write a bucket and count it."""
        return write_outcome(context, context.table("filtered"), bucket, outcome)


class FilterDryRun(FilterStage):
    """What the stage would do, counted by filter. Model calls are made, and remembered; no table
    is written."""

    name = DRY_RUN
    summary = "say what each filter would drop, and write no table"

    def begin(self, context: Context) -> None:
        """Nothing is written."""

    def write(self, context: Context, bucket: int, outcome: Outcome) -> Stats:
        where = f"filter, bucket {bucket}"
        stats = account(where, outcome.rows_in, outcome.rows.height, outcome.dropped)
        return stats.model_copy(update={"usage": outcome.usage or {}})

    def finish(self, context: Context, stats: Stats) -> None:
        """Nothing was written."""


def list_filters(params: Params) -> list[FilterConfig]:
    """The filters of params.yaml, and after them the limit of what generate is to reach."""
    config = params.generate
    if not config.wants_pairs():
        return list(params.filter.filters)
    limit = LimitConfig(per_prompt=config.accepted_per_prompt, pairs=config.target_pairs)
    return [*params.filter.filters, limit]


def make_filters(context: Context) -> list[Filter]:
    """The filters, set up."""
    return context.runtime.parts(FILTERS, list_filters(context.params), WHERE)


def label_filters(params: Params) -> list[str]:
    """What each filter's counts go by: its position in params.yaml and its kind."""
    return [f"{number} {config.kind}" for number, config in enumerate(list_filters(params))]


def _apply_filter(
    states: beam.PCollection, context: Context, position: int, label: str
) -> tuple[beam.PCollection, beam.PCollection | None]:
    """What the filter keeps, and its summary where it has one."""
    from prefdata.pipelines.beam.exchange import exchange
    from prefdata.pipelines.beam.steps import apply_step, gather

    kind = FILTERS.parts[list_filters(context.params)[position].kind]
    measure = partial(_measure, position=position, label=label)
    measured = apply_step(states, f"Measure {label}", context, measure)
    summary = None
    if kind.across_buckets:
        summarize = partial(_summarize, position=position)
        summaries = apply_step(measured, f"Summarize {label}", context, summarize)
        merge = partial(_merge, position=position)
        summary = gather(summaries, f"Merge {label}", context, merge)
    if kind.rounds:
        summary = exchange(measured, summary, context, position, kind.rounds, label)
    decide = partial(_decide, position=position, label=label)
    kept = apply_step(measured, f"Decide {label}", context, decide, summary=summary)
    return kept, summary


def _load(context: Context, bucket: int) -> Iterator[State]:
    pairs = context.read("augmented", bucket)
    yield State(bucket, pairs.height, pack(pairs), pack(no_dropped()))


def _measure(context: Context, state: State, position: int, label: str) -> Iterator[State]:
    """Adds the filter's figures; where a model call failed the pair falls out as a fault."""
    pairs = unpack(state.kept)
    if not pairs.height:
        yield state
        return
    prompts = context.read("prompts", state.bucket, ["prompt_id", "messages"])
    texts = Texts(prompts, context.read_responses(state.bucket))
    inference = context.inference()
    measured = make_filters(context)[position].measure(pairs, texts, inference)
    failed = measured.filter(pl.col("fault").is_not_null()).with_columns(
        reason=error_code(pl.col("fault")), detail="fault"
    )
    kept = measured.filter(pl.col("fault").is_null()).drop("fault")
    counted = state.count(label, FilterStats(rows_in=pairs.height))
    yield replace(
        counted.drop(failed, label, fault=True),
        kept=pack(kept),
        usage=add_usage(state.usage, inference.usage),
    )


def _summarize(context: Context, state: State, position: int) -> Iterator[bytes]:
    """What the filter must know of this bucket elsewhere."""
    measured = unpack(state.kept)
    if measured.height:
        yield pack(make_filters(context)[position].summarize(measured))


def _merge(context: Context, summaries: list[Any], position: int) -> bytes | None:
    if not summaries:
        return None
    merged = make_filters(context)[position].merge([unpack(summary) for summary in summaries])
    return pack(merged)


def _decide(
    context: Context, state: State, position: int, label: str, summary: bytes | None = None
) -> Iterator[State]:
    """Keeps or drops. Of what the filter added only the figures that have a column stay."""
    measured = unpack(state.kept)
    if not measured.height:
        yield state
        return
    across = None if summary is None else unpack(summary)
    decided = make_filters(context)[position].decide(measured, across)
    dropped = decided.filter(pl.col("reason").is_not_null())
    columns = [c for c in decided.columns if c in FilteredPair.model_fields]
    kept = decided.filter(pl.col("reason").is_null()).select(columns)
    counted = state.count(label, FilterStats(rows_out=kept.height))
    yield replace(counted.drop(dropped, label, fault=False), kept=pack(kept))


def _take_figures(
    context: Context, summary: bytes | None, position: int, label: str
) -> Iterator[Stats]:
    """What the summary says of all pairs, for the funnel."""
    if summary is not None:
        figures = make_filters(context)[position].figures(unpack(summary))
        yield Stats(filters={label: FilterStats(figures=figures)})
