"""Judge: data/prompts, data/responses -> data/judgments. Every judge's judgment, and the consensus.

Of n responses all n(n-1)/2 comparisons are judged. A comparison without a consensus is dropped
with its reason; the judges' judgments on it stay in the table. With judge.demonstrations all of it
is done in cycles: see cycles.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import apache_beam as beam
import polars as pl

from prefdata.config.params import Params
from prefdata.consensus import registry as consensuses
from prefdata.consensus.base import FAULTS, Consensus
from prefdata.engines.base import Wanted
from prefdata.inference import Inference
from prefdata.inference.progress import Progress
from prefdata.inference.usage import Usage
from prefdata.judges import registry as judges
from prefdata.judges.base import Candidates, judgments
from prefdata.pipelines.beam.errors import carry
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages import cycles
from prefdata.pipelines.stages.base import (
    Outcome,
    Run,
    Stage,
    WorkOnBucket,
    begin_tables,
    buckets,
    complete,
    execute,
    keep_stats,
    read_stats,
    record,
    start,
    write_stats,
)
from prefdata.pipelines.stats import Stats
from prefdata.records import CONSENSUS, Dropped, Judgment
from prefdata.records.base import polars_schema
from prefdata.tables import write_bucket

READS = ["prompts", "responses"]
SLICE_COMPARISONS = 8_192
"""Judged at once: a judge's prompts are many times the size of the responses they are made of."""

_PROMPTS = ["prompt_id", "messages", "source", "reference", "responses", "labels"]
_JUDGED = ["response_id", "prompt_id", "text", "finish_reason"]


@dataclass(frozen=True)
class Judged:
    """A bucket whose judgments are written, on its way to labels that need all the others."""

    bucket: int
    summary: bytes
    usage: dict[str, Usage]


@dataclass(frozen=True)
class Asked:
    """What is judged of a bucket; `identical` are the comparisons that are not."""

    prompts: pl.DataFrame
    responses: pl.DataFrame
    comparisons: pl.DataFrame
    identical: pl.DataFrame


def asked_of(run: Run, bucket: int) -> Asked:
    """The bucket's prompts, responses and comparisons."""
    prompts = run.read("prompts", bucket, _PROMPTS)
    responses = responses(run, bucket)
    return Asked(prompts, responses, *compare(responses))


def work(run: Run, bucket: int, cycle: int = 1) -> Outcome:
    """Judge one bucket's responses."""
    asked, inference = asked_of(run, bucket), run.inference(bucket)
    outcome = label(run, asked, judge_bucket(run, bucket, cycle, asked, inference))
    return replace(outcome, inference=inference)


def judge_bucket(
    run: Run, bucket: int, cycle: int, asked: Asked, inference: Inference
) -> pl.DataFrame:
    """Every judge's judgments of the bucket's responses."""
    panel = judges.build(run.params.judge.judges)
    tables = [pl.DataFrame(schema=polars_schema(Judgment))]
    shown, size = None, SLICE_COMPARISONS
    if cycle > 1 and run.params.judge.demonstrations:
        names = cycles.taught(run.params.judge.demonstrations, panel)
        kept = ~pl.col("judge").is_in([*names, CONSENSUS])
        tables.append(run.read("judgments", bucket).filter(kept))
        panel = [judge for judge in panel if judge.name in names]
        shown = cycles.shown(run.params)
        size = max(1, SLICE_COMPARISONS // (1 + shown.count))
    whole = Candidates(
        asked.prompts.drop("source"),
        asked.responses,
        asked.comparisons,
        shown,
    )
    for some in whole.slices(size):
        tables += [judge.judge_all(some, inference) for judge in panel]
    return pl.concat(tables)


def label(
    run: Run, asked: Asked, said: pl.DataFrame, across: pl.DataFrame | None = None
) -> Outcome:
    """The bucket's judgments with the consensus on them, and what it rejects."""
    prompts = asked.prompts.select("prompt_id", "messages", "source")
    comparisons, identical = asked.comparisons, asked.identical
    decided = _consensus(run).label(said, prompts, across)
    labels = judgments(
        CONSENSUS,
        decided.filter(pl.col("reason").is_null())
        .drop("reason", "detail")
        .with_columns(unscored=pl.lit(None, dtype=pl.String)),
    )
    undecided = decided.filter(pl.col("reason").is_not_null())
    empty = pl.DataFrame(schema=polars_schema(Dropped))
    return Outcome(
        comparisons.height + identical.height,
        pl.concat([said, labels]),
        pl.concat([empty, dropped(identical, fault=False), dropped(undecided, fault=None)]),
        rows_out=labels.height,
    )


class JudgeBucket(beam.DoFn):
    """Writes a bucket's judgments; hands on what the labels elsewhere must know of them."""

    def __init__(self, run: Run, cycle: int) -> None:
        self.run, self.cycle = run, cycle

    def process(self, bucket: int) -> Iterator[Judged]:
        with carry():
            run = self.run
            inference = run.inference(bucket)
            asked = asked_of(run, bucket)
            said = judge_bucket(run, bucket, self.cycle, asked, inference)
            write_bucket(run.table("judgments"), bucket, run.buckets, said)
            prompts = asked.prompts.select("prompt_id", "messages", "source")
            consensus = _consensus(run)
            summary = consensus.summarize(consensus.label(said, prompts))
            yield Judged(bucket, pack(summary), inference.usage)


class LabelBucket(beam.DoFn):
    """Labels a bucket's written judgments, knowing all summaries; safe to run again."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, judged: Judged, summaries: list[bytes]) -> Iterator[Stats]:
        with carry():
            run = self.run
            said = run.read("judgments", judged.bucket).filter(pl.col("judge") != CONSENSUS)
            # Summaries come in any order; the labels may not depend on it.
            across = pl.concat([unpack(summary) for summary in sorted(summaries)])
            outcome = label(run, asked_of(run, judged.bucket), said, across)
            stats = record(run, run.table("judgments"), judged.bucket, outcome)
            yield stats.model_copy(update={"usage": judged.usage})


def run_stage(params: Params, arguments: Sequence[str], quiet: bool = False) -> Stats:
    """Run the stage; twice over the buckets where labels depend on each other across them, and
    all that again where the judges are shown what they agreed on."""
    run = start(params, STAGE.name, READS, needs(params), quiet)
    output = run.table("judgments")
    begin_tables(run, output)
    cycles.forget(params)
    across, asked = _consensus(run).across_buckets, Stats()
    for cycle in range(1, cycles.count(params) + 1):
        # The table is marked whole after the last cycle, never between two.
        execute(partial(_labelled_twice if across else _labelled, run, cycle), arguments)
        stats = read_stats(params, STAGE.name)
        asked = asked.plus(Stats(usage=stats.usage))
        if cycle > 1:
            write_stats(params, STAGE.name, stats.model_copy(update={"usage": asked.usage}))
        if cycle < cycles.count(params):
            found = cycles.choose(run, arguments)
            labels = f"{stats.rows_out} labels of {stats.rows_in}, {found} demonstrations"
            Progress(quiet).line(f"  cycle {cycle}: {labels}")
    return complete(run, output, STAGE.unit)


def _labelled(run: Run, cycle: int, pipeline: beam.Pipeline) -> None:
    """Judges and labels bucket by bucket."""
    on_bucket = WorkOnBucket(run, partial(work, cycle=cycle), run.table("judgments"))
    keep_stats(run, buckets(pipeline, run) | STAGE.name >> beam.ParDo(on_bucket))


def _labelled_twice(run: Run, cycle: int, pipeline: beam.Pipeline) -> None:
    """Judges and sums up every bucket, then labels each, knowing all summaries."""
    judged = buckets(pipeline, run) | "Judge" >> beam.ParDo(JudgeBucket(run, cycle))
    summaries = judged | "Summaries" >> beam.Map(lambda one: one.summary)
    labelled = judged | "Label" >> beam.ParDo(
        LabelBucket(run), summaries=beam.pvalue.AsList(summaries)
    )
    keep_stats(run, labelled)


def _consensus(run: Run) -> Consensus:
    return consensuses.build(run.params.judge.consensus)


def responses(run: Run, bucket: int) -> pl.DataFrame:
    """Responses as judges and filters see them: `finished` in place of the finish reason."""
    rows = run.read("responses", bucket, _JUDGED)
    return rows.with_columns(finished=pl.col("finish_reason") == "stop").drop("finish_reason")


def compare(responses: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(comparisons to judge, those with a response that repeats another one of its prompt).

    Both with response_a < response_b; the second with reason and detail.
    """
    repeats = pl.struct("prompt_id", "text").is_first_distinct().not_()
    marked = responses.sort("prompt_id", "response_id").with_columns(repeat=repeats)
    one = marked.select("prompt_id", response_a="response_id", repeat_a="repeat")
    two = marked.select("prompt_id", response_b="response_id", repeat_b="repeat")
    pairs = one.join(two, on="prompt_id").filter(pl.col("response_a") < pl.col("response_b"))
    repeated = pl.col("repeat_a") | pl.col("repeat_b")
    columns = ["prompt_id", "response_a", "response_b"]
    identical = pairs.filter(repeated).with_columns(
        reason=pl.lit("identical_responses"),
        detail=pl.lit("one of the two repeats, word for word, another response to the prompt"),
    )
    return pairs.filter(~repeated).select(columns), identical.select(*columns, "reason", "detail")


def dropped(rows: pl.DataFrame, fault: bool | None) -> pl.DataFrame:
    """Rejections of comparisons; with `fault` None, a missing judgment is one, the rest is not."""
    faulty = pl.col("reason").is_in(FAULTS) if fault is None else pl.lit(fault)
    return rows.select(
        stage=pl.lit("judge"),
        reason="reason",
        detail="detail",
        fault=faulty,
        place="prompt_id",
        record=pl.struct("prompt_id", "response_a", "response_b").struct.json_encode(),
    )


def requirements(params: Params) -> list[Wanted]:
    """The models and operations the judges ask for; checks their settings on the way."""
    panel = judges.build(params.judge.judges)
    consensuses.build(params.judge.consensus, [judge.name for judge in panel])
    if params.judge.demonstrations:
        cycles.taught(params.judge.demonstrations, panel)
    return [need for judge in panel for need in judge.requirements()]


STAGE = Stage("judge", "comparisons", READS, work, needs)
