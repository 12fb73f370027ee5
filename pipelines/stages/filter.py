"""Filter: data/augmented -> data/filtered. Each filter sees what those before it kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import apache_beam as beam
import polars as pl

from prefdata.config.params import Params
from prefdata.engines.base import error_code
from prefdata.filters import registry as lookup
from prefdata.filters.base import Filter, Texts
from prefdata.inference.usage import Usage
from prefdata.pipelines.beam.errors import carry
from prefdata.pipelines.beam.exchange import as_side_input, exchange
from prefdata.pipelines.beam.filter_step import FilterStep, State
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages.base import (
    Outcome,
    Run,
    begin_tables,
    buckets,
    complete,
    execute,
    keep_stats,
    read_stats,
    record,
    start,
)
from prefdata.pipelines.stages.judge import responses
from prefdata.pipelines.stats import Stats, StepStats, account
from prefdata.records import Dropped, FilteredPair
from prefdata.records.base import polars_schema

UNIT = "pairs"
DRY_RUN = "filter-dry-run"
"""Under this name a dry run leaves its counts, beside those of the stage."""


class Load(beam.DoFn):
    """A bucket's pairs."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, bucket: int) -> Iterator[State]:
        with carry():
            pairs = self.run.read("augmented", bucket)
            nothing = pl.DataFrame(schema=polars_schema(Dropped))
            yield State(bucket, pairs.height, pack(pairs), pack(nothing))


class Measure(FilterStep):
    """Adds the filter's figures; where a model call failed the pair falls out as a fault."""

    def process(self, state: State) -> Iterator[State]:
        with carry():
            pairs = unpack(state.kept)
            if not pairs.height:
                yield state
                return
            prompts = self.run.read("prompts", state.bucket, ["prompt_id", "messages"])
            texts = Texts(prompts, responses(self.run, state.bucket))
            inference = self.run.inference(state.bucket)
            measured = self.filter.measure(pairs, texts, inference)
            failed = measured.filter(pl.col("fault").is_not_null()).with_columns(
                reason=error_code(pl.col("fault")), detail="fault"
            )
            usage = dict(state.usage)
            for name, used in inference.usage.items():
                usage[name] = usage.get(name, Usage()).plus(used)
            kept = measured.filter(pl.col("fault").is_null()).drop("fault")
            counted = state.counted(self.label, StepStats(rows_in=pairs.height))
            yield replace(
                counted.dropping(failed, self.label, fault=True), kept=pack(kept), usage=usage
            )


class Decide(FilterStep):
    """Keeps or rejects. Of what the filter added only the figures that have a column stay."""

    def process(self, state: State, summary: bytes | None = None) -> Iterator[State]:
        with carry():
            measured = unpack(state.kept)
            if not measured.height:
                yield state
                return
            across = None if summary is None else unpack(summary)
            decided = self.filter.decide(measured, across)
            dropped = decided.filter(pl.col("reason").is_not_null())
            columns = [c for c in decided.columns if c in FilteredPair.model_fields]
            kept = decided.filter(pl.col("reason").is_null()).select(columns)
            counted = state.counted(self.label, StepStats(rows_out=kept.height))
            yield replace(counted.dropping(dropped, self.label, fault=False), kept=pack(kept))


class Summarize(FilterStep):
    """What the filter must know of this bucket elsewhere."""

    def process(self, state: State) -> Iterator[bytes]:
        with carry():
            measured = unpack(state.kept)
            if measured.height:
                yield pack(self.filter.summarize(measured))


class Figures(FilterStep):
    """What the summary says of all pairs, for the funnel."""

    def process(self, summary: bytes | None) -> Iterator[Stats]:
        with carry():
            if summary is not None:
                figures = self.filter.figures(unpack(summary))
                yield Stats(steps={self.label: StepStats(figures=figures)})


class Merge(beam.CombineFn):
    """All buckets' summaries -> one."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def create_accumulator(self) -> list[bytes]:
        return []

    def add_input(self, accumulator: list[bytes], summary: bytes) -> list[bytes]:
        accumulator.append(summary)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[bytes]]) -> list[bytes]:
        return [summary for some in accumulators for summary in some]

    def extract_output(self, accumulator: list[bytes]) -> bytes | None:
        with carry():
            if not accumulator:
                return None
            merged = lookup.build([self.part])[0].merge([unpack(s) for s in accumulator])
            return pack(merged)


class Write(beam.DoFn):
    """The bucket's file, with the columns of filters that did not run as null.

    A dry run writes none, and only checks that nothing is lost.
    """

    def __init__(self, run: Run, dry: bool) -> None:
        self.run, self.dry = run, dry

    def process(self, state: State) -> Iterator[Stats]:
        with carry():
            kept, dropped = unpack(state.kept), unpack(state.dropped)
            schema = polars_schema(FilteredPair)
            absent = [
                pl.lit(None, dtype=schema[c]).alias(c) for c in schema if c not in kept.columns
            ]
            rows = kept.with_columns(absent).select(schema.names())
            if self.dry:
                where = f"filter, bucket {state.bucket}"
                stats = account(where, state.rows_in, rows.height, dropped)
            else:
                outcome = Outcome(state.rows_in, rows, dropped)
                stats = record(self.run, self.run.table("filtered"), state.bucket, outcome)
            yield stats.model_copy(update={"usage": state.usage, "steps": state.steps})


def run_stage(params: Params, arguments: Sequence[str], quiet: bool = False) -> Stats:
    """Run the stage."""
    return _run(params, arguments, quiet, dry=False)


def dry_run(params: Params, arguments: Sequence[str], quiet: bool = False) -> Stats:
    """What the stage would do, counted by filter; it writes no table. Model calls are made, and
    remembered."""
    return _run(params, arguments, quiet, dry=True)


def _run(params: Params, arguments: Sequence[str], quiet: bool, dry: bool) -> Stats:
    parts = with_limit(params)
    filters = lookup.build(parts)
    needs = [need for f in filters for need in f.requirements()]
    run = start(params, "filter", ["augmented", "prompts", "responses"], needs, quiet)
    output = run.table("filtered")
    if not dry:
        begin_tables(run, output)

    def build(pipeline: beam.Pipeline) -> None:
        states = buckets(pipeline, run) | "Load" >> beam.ParDo(Load(run))
        figures = []
        for label, part, f in zip(labels(params), parts, filters, strict=True):
            states, summary = _apply(states, run, part, f, label)
            if summary is not None:
                step = beam.ParDo(Figures(run, part, label))
                figures.append(summary | f"Figures {label}" >> step)
        written = states | "Write" >> beam.ParDo(Write(run, dry))
        counts = (written, *figures) | "All counts" >> beam.Flatten()
        keep_stats(replace(run, stage=DRY_RUN) if dry else run, counts)

    execute(build, arguments)
    return read_stats(params, DRY_RUN) if dry else complete(run, output, UNIT)


def labels(params: Params) -> list[str]:
    """What each filter's counts go by: its place in params.yaml and its kind."""
    return [f"{number} {part.kind}" for number, part in enumerate(with_limit(params))]


def with_limit(params: Params) -> list[Part]:
    """The filters of params.yaml, and after them the limit of what generate is to reach."""
    config = params.generate
    if not config.wants_pairs():
        return params.filter.filters
    limits = {"per_prompt": config.accepted_per_prompt, "pairs": config.target_pairs}
    return [*params.filter.filters, Part.model_validate({"kind": "limit", **limits})]


def _apply(
    states: beam.PCollection, run: Run, part: Part, f: Filter, label: str
) -> tuple[beam.PCollection, beam.PCollection | None]:
    """What the filter keeps, and its summary where it has one."""
    measured = states | f"Measure {label}" >> beam.ParDo(Measure(run, part, label))
    summary = None
    if f.across_buckets:
        summary = (
            measured
            | f"Summarize {label}" >> beam.ParDo(Summarize(run, part, label))
            | f"Merge {label}" >> beam.CombineGlobally(Merge(part))
        )
    if f.rounds:
        summary = exchange(measured, summary, run, part, f, label)
    decide = beam.ParDo(Decide(run, part, label), **as_side_input(summary))
    return measured | f"Decide {label}" >> decide, summary
