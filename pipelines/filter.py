"""Filter: data/augmented -> data/filtered. Each filter sees what those before it kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import apache_beam as beam
import polars as pl

from pipelines.errors import carry
from pipelines.flow import (
    Outcome,
    Run,
    begin_tables,
    buckets,
    complete,
    execute,
    keep_stats,
    record,
    start,
)
from pipelines.judge import answers
from pipelines.shuffle import pack, unpack
from pipelines.stats import Stats
from prefdata.config.params import Params, Part
from prefdata.engines.base import error_code
from prefdata.filters import lookup
from prefdata.filters.base import Filter, Texts
from prefdata.inference.usage import Usage
from prefdata.records import FilteredPair, Rejection
from prefdata.records.base import polars_schema

UNIT = "pairs"


@dataclass(frozen=True)
class State:
    """A bucket on its way through the filters."""

    bucket: int
    rows_in: int
    kept: bytes
    rejected: bytes
    usage: dict[str, Usage]


class Load(beam.DoFn):
    """A bucket's pairs."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, bucket: int) -> Iterator[State]:
        with carry():
            pairs = self.run.read("augmented", bucket)
            nothing = pl.DataFrame(schema=polars_schema(Rejection))
            yield State(bucket, pairs.height, pack(pairs), pack(nothing), {})


class _Step(beam.DoFn):
    """One filter's part; the filter is made where it runs."""

    def __init__(self, run: Run, part: Part) -> None:
        self.run, self.part = run, part

    def setup(self) -> None:
        with carry():
            self.filter = lookup.build([self.part])[0]


class Measure(_Step):
    """Adds the filter's figures; where a model call failed the pair falls out as a fault."""

    def process(self, state: State) -> Iterator[State]:
        with carry():
            pairs = unpack(state.kept)
            if not pairs.height:
                yield state
                return
            prompts = self.run.read("prompts", state.bucket, ["prompt_id", "messages"])
            texts = Texts(prompts, answers(self.run, state.bucket))
            inference = self.run.inference(state.bucket)
            measured = self.filter.measure(pairs, texts, inference)
            failed = measured.filter(pl.col("fault").is_not_null()).with_columns(
                reason=error_code(pl.col("fault")), detail="fault"
            )
            usage = dict(state.usage)
            for name, used in inference.usage.items():
                usage[name] = usage.get(name, Usage()).plus(used)
            kept = measured.filter(pl.col("fault").is_null()).drop("fault")
            yield replace(
                state,
                kept=pack(kept),
                rejected=_also(state.rejected, failed, fault=True),
                usage=usage,
            )


class Decide(_Step):
    """Keeps or rejects."""

    def process(self, state: State, summary: bytes | None = None) -> Iterator[State]:
        with carry():
            measured = unpack(state.kept)
            if not measured.height:
                yield state
                return
            across = None if summary is None else unpack(summary)
            decided = self.filter.decide(measured, across)
            dropped = decided.filter(pl.col("reason").is_not_null())
            kept = decided.filter(pl.col("reason").is_null()).drop("reason", "detail")
            yield replace(
                state, kept=pack(kept), rejected=_also(state.rejected, dropped, fault=False)
            )


class Summarize(_Step):
    """What the filter must know of this bucket elsewhere."""

    def process(self, state: State) -> Iterator[bytes]:
        with carry():
            measured = unpack(state.kept)
            if measured.height:
                yield pack(self.filter.summarize(measured))


class Merge(beam.CombineFn):
    """All buckets' summaries -> one."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def create_accumulator(self) -> list[bytes]:
        return []

    def add_input(self, accumulator: list[bytes], summary: bytes) -> list[bytes]:
        return [*accumulator, summary]

    def merge_accumulators(self, accumulators: Iterable[list[bytes]]) -> list[bytes]:
        return [summary for some in accumulators for summary in some]

    def extract_output(self, accumulator: list[bytes]) -> bytes | None:
        with carry():
            if not accumulator:
                return None
            merged = lookup.build([self.part])[0].merge([unpack(s) for s in accumulator])
            return pack(merged)


class Write(beam.DoFn):
    """The bucket's file, with the columns of filters that did not run as null."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, state: State) -> Iterator[Stats]:
        with carry():
            kept, rejected = unpack(state.kept), unpack(state.rejected)
            schema = polars_schema(FilteredPair)
            absent = [
                pl.lit(None, dtype=schema[c]).alias(c) for c in schema if c not in kept.columns
            ]
            rows = kept.with_columns(absent).select(schema.names())
            outcome = Outcome(state.rows_in, rows, rejected)
            stats = record(self.run, self.run.table("filtered"), state.bucket, outcome)
            yield stats.model_copy(update={"usage": state.usage})


def run_stage(params: Params, arguments: Sequence[str], quiet: bool = False) -> Stats:
    """Run the stage."""
    parts = with_limit(params)
    filters = lookup.build(parts)
    needs = [need for f in filters for need in f.needs()]
    run = start(params, "filter", ["augmented", "prompts", "responses"], needs, quiet)
    output = run.table("filtered")
    begin_tables(run, output)

    def build(pipeline: beam.Pipeline) -> None:
        states = buckets(pipeline, run) | "Load" >> beam.ParDo(Load(run))
        for number, (part, f) in enumerate(zip(parts, filters, strict=True)):
            states = _apply(states, run, part, f, f"{number} {part.kind}")
        keep_stats(run, states | "Write" >> beam.ParDo(Write(run)))

    execute(build, arguments)
    return complete(run, output, UNIT)


def with_limit(params: Params) -> list[Part]:
    """The filters of params.yaml, and after them the limit of what generate is to reach."""
    config = params.generate
    if not config.wants_pairs():
        return params.filter.filters
    limits = {"per_prompt": config.accepted_per_prompt, "pairs": config.target_pairs}
    return [*params.filter.filters, Part.model_validate({"kind": "limit", **limits})]


def _apply(
    states: beam.PCollection, run: Run, part: Part, f: Filter, label: str
) -> beam.PCollection:
    measured = states | f"Measure {label}" >> beam.ParDo(Measure(run, part))
    decide = beam.ParDo(Decide(run, part))
    if f.across_buckets:
        summary = (
            measured
            | f"Summarize {label}" >> beam.ParDo(Summarize(run, part))
            | f"Merge {label}" >> beam.CombineGlobally(Merge(part))
        )
        decide = beam.ParDo(Decide(run, part), summary=beam.pvalue.AsSingleton(summary))
    return measured | f"Decide {label}" >> decide


def _also(packed: bytes, rows: pl.DataFrame, fault: bool) -> bytes:
    """The rejections so far and these."""
    if not rows.height:
        return packed
    more = rows.select(
        stage=pl.lit("filter"),
        reason="reason",
        detail="detail",
        fault=pl.lit(fault),
        place="prompt_id",
        record=pl.struct("pair_id", "prompt_id", "chosen_id", "rejected_id").struct.json_encode(),
    )
    return pack(pl.concat([unpack(packed), more]))
