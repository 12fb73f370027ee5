"""The Beam parts: a stage maps buckets, and its counts come together at the end."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.options.pipeline_options import PipelineOptions

from prefdata.config.params import Params
from prefdata.engines.base import STOPPING, Wanted, first_met
from prefdata.engines.registry import Engines
from prefdata.errors import AbortError, ConfigError, TableError
from prefdata.files import storage
from prefdata.inference import Inference, Memo
from prefdata.inference.progress import Progress
from prefdata.pipelines import layout
from prefdata.pipelines.beam.errors import carried, carry
from prefdata.pipelines.beam.signals import WORKER
from prefdata.pipelines.stats import Stats, account
from prefdata.records import SCHEMA_VERSION
from prefdata.tables import (
    Table,
    TableInfo,
    begin,
    finish,
    read_bucket,
    read_info,
    write_bucket,
)

DEFAULT_RUNNER = "prefdata.pipelines.beam.runner.LocalRunner"
MAX_WORKERS = 8
"""Buckets worked on at once by default: each takes its memory, and Python's lock gets crowded."""

_LOCAL = ("directrunner", "direct", "bundlebaseddirectrunner", "fnapirunner")


@dataclass(frozen=True)
class Run:
    """What a stage is run with, the same on every worker."""

    params: Params
    stage: str
    buckets: int = 0
    quiet: bool = False

    def table(self, name: str) -> Table:
        return layout.table(self.params, name)

    def read(self, name: str, bucket: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """One bucket of a table."""
        return read_bucket(self.table(name), bucket, self.buckets, columns)

    def inference(self, bucket: int) -> Inference:
        """What the stage asks models through, for one bucket."""
        memo = Memo(self.params.memo) if self.params.memo else None
        label = f"{self.stage} {bucket + 1}/{self.buckets}"
        return Inference(engines(self.params), memo, Progress(self.quiet), label)


@dataclass(frozen=True)
class Outcome:
    """What a stage made of one bucket. `rows_out` is what counts against `rows_in`; the table
    may hold more rows than that (every judge's beside the consensus)."""

    rows_in: int
    rows: pl.DataFrame
    dropped: pl.DataFrame
    rows_out: int | None = None
    inference: Inference | None = None


Work = Callable[[Run, int], Outcome]

_engines: dict[str, Engines] = {}
_lock = threading.Lock()


def engines(params: Params) -> Engines:
    """The models of this process, loaded once and kept between buckets and stages."""
    key = str(sorted((n, m.model_dump_json()) for n, m in params.models.items()))
    with _lock:
        if key not in _engines:
            _engines[key] = Engines(params.models)
        return _engines[key]


def close_engines() -> None:
    """Give back what this process's models took."""
    with _lock:
        for made in _engines.values():
            made.close()


def check_requirements(params: Params, needs: Iterable[Wanted]) -> None:
    """Before any work: every model is defined, is there, and can do what is asked of it."""
    for wanted in needs:
        first_met(wanted, engines(params))


def options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options from the command line's unknown ones; the local runner by default.

    DirectRunner means the same local runner: by itself it would first try to download another
    one, and hang where the network is silent. It works on as many buckets at once as there are
    cores: nearly all of the work runs outside the interpreter's lock.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default=DEFAULT_RUNNER)
    parser.add_argument("--direct_num_workers", type=int, default=min(_cores(), MAX_WORKERS))
    given, others = parser.parse_known_args(list(arguments))
    name = DEFAULT_RUNNER if given.runner.lower() in _LOCAL else given.runner
    if "dask" in name.lower():
        raise ConfigError(
            f"--runner={name}: it loses and repeats rows and still reports success",
            "Use the default, or SparkRunner, FlinkRunner or DataflowRunner.",
        )
    try:
        beam.runners.create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise ConfigError(
            f"--runner={name}: {str(error).splitlines()[0]}",
            "Check the name; some runners need an extra, such as apache-beam[gcp].",
        ) from error
    workers = f"--direct_num_workers={given.direct_num_workers}"
    return PipelineOptions([*others, f"--runner={name}", f"--beam_plugin={WORKER}", workers])


def _cores() -> int:
    """The cores this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkOnBucket(beam.DoFn):
    """Reads, works on and writes one bucket; safe to run again."""

    def __init__(self, run: Run, work: Work, output: Table) -> None:
        self.run, self.work, self.output = run, work, output

    def process(self, bucket: int) -> Iterator[Stats]:
        with carry():
            outcome = self.work(self.run, bucket)
            yield record(self.run, self.output, bucket, outcome)


def record(run: Run, output: Table, bucket: int, outcome: Outcome) -> Stats:
    """Check that nothing is lost, write the bucket's rows and dropped, and count them."""
    rows_out = outcome.rows.height if outcome.rows_out is None else outcome.rows_out
    where = f"{run.stage}, bucket {bucket}"
    stats = account(where, outcome.rows_in, rows_out, outcome.dropped)
    write_bucket(output, bucket, run.buckets, outcome.rows)
    write_dropped(run, bucket, outcome.dropped)
    usage = outcome.inference.usage if outcome.inference else {}
    return stats.model_copy(update={"usage": usage, "rows_written": outcome.rows.height})


def write_dropped(run: Run, bucket: int, dropped: pl.DataFrame) -> None:
    """Write the bucket's dropped."""
    write_bucket(layout.dropped(run.params, run.stage), bucket, run.buckets, dropped)


class AddStats(beam.CombineFn):
    """Adds up the buckets' counts."""

    def create_accumulator(self) -> Stats:
        return Stats()

    def add_input(self, accumulator: Stats, stats: Stats) -> Stats:
        return accumulator.plus(stats)

    def merge_accumulators(self, accumulators: Iterable[Stats]) -> Stats:
        total = Stats()
        for stats in accumulators:
            total = total.plus(stats)
        return total

    def extract_output(self, accumulator: Stats) -> Stats:
        return accumulator


def keep_stats(run: Run, stats: beam.PCollection) -> beam.PCollection:
    """Add up the counts and put them where the driver finds them, whichever runner ran."""

    def write(total: Stats) -> None:
        with carry():
            write_stats(run.params, run.stage, total)

    return stats | "Count" >> beam.CombineGlobally(AddStats()) | "Keep counts" >> beam.Map(write)


def write_stats(params: Params, stage: str, stats: Stats) -> None:
    """Keep the counts of a stage's run."""
    content = stats.model_dump_json(indent=1).encode() + b"\n"
    storage.write_bytes(layout.stats_path(params, stage), content)


def read_stats(params: Params, stage: str) -> Stats:
    """The counts of a stage's last run."""
    content = storage.read_bytes(layout.stats_path(params, stage))
    if content is None:
        raise TableError(f"{layout.stats_path(params, stage)}: missing", "Run the stage again.")
    return Stats.model_validate_json(content)


@dataclass
class Stage:
    """A stage that maps buckets: what it reads decides the bucketing, `work` does the rest."""

    name: str
    unit: str
    reads: Sequence[str] | Callable[[Params], Sequence[str]]
    work: Work
    needs: Callable[[Params], Iterable[Wanted]] = field(default=lambda _: [])

    def execute(self, params: Params, arguments: Sequence[str], quiet: bool) -> Stats:
        """Run it: check, map the buckets, mark the tables whole."""
        reads = self.reads(params) if callable(self.reads) else self.reads
        run = start(params, self.name, reads, self.requirements(params), quiet)
        output = run.table(layout.OUTPUT_OF[self.name])
        begin_tables(run, output)

        def build(pipeline: beam.Pipeline) -> None:
            stats = buckets(pipeline, run) | self.name >> beam.ParDo(
                WorkOnBucket(run, self.work, output)
            )
            keep_stats(run, stats)

        execute(build, arguments)
        return complete(run, output, self.unit)


def start(
    params: Params,
    stage: str,
    reads: Sequence[str],
    needs: Iterable[Wanted],
    quiet: bool,
) -> Run:
    """Check inputs and models, before any work."""
    infos = {name: read_info(layout.table(params, name)) for name in reads}
    counts = {info.buckets for info in infos.values()}
    if len(counts) > 1:
        found = ", ".join(f"{n}: {i.buckets}" for n, i in infos.items())
        raise TableError(
            f"the tables that {stage} reads are bucketed differently ({found})",
            "Run the earlier stages again: `prefdata run` runs them all.",
        )
    check_requirements(params, needs)
    return Run(params, stage, counts.pop(), quiet)


def begin_tables(run: Run, output: Table) -> None:
    """Open the stage's table, and then the one of its dropped."""
    begin(output)
    begin(layout.dropped(run.params, run.stage))


def buckets(pipeline: beam.Pipeline, run: Run) -> beam.PCollection:
    """The bucket numbers, spread over the workers."""
    numbers = pipeline | "Buckets" >> beam.Create(range(run.buckets))
    return numbers | "Spread" >> beam.Reshuffle()


def execute(build: Callable[[beam.Pipeline], Any], arguments: Sequence[str]) -> None:
    """Run the pipeline to its end; an error of a worker comes back as it was raised there."""
    pipeline = beam.Pipeline(options=options(arguments))
    build(pipeline)
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:
        original = carried(error)
        if original is None and STOPPING.is_set():
            raise KeyboardInterrupt from None
        if original is None and "Channel closed prematurely" in str(error):
            original = AbortError(
                "a worker process died in the middle of its work (killed, or out of memory?)",
                "Give it fewer workers (--direct_num_workers) or more memory, then run again: "
                "finished model calls are kept.",
            )
        if original is None:
            raise
        raise original from None


def complete(run: Run, output: Table, unit: str) -> Stats:
    """Mark the dropped and the stage's table whole."""
    stats = read_stats(run.params, run.stage)
    dropped = layout.dropped(run.params, run.stage)
    finish(dropped, info(run, dropped, stats, unit, sum(stats.dropped.values())))
    finish(output, info(run, output, stats, unit, stats.rows_written))
    return stats


def info(run: Run, written: Table, stats: Stats, unit: str, rows: int) -> TableInfo:
    """What a table says of itself."""
    return TableInfo(
        record=written.record.__name__,
        schema_version=SCHEMA_VERSION,
        buckets=run.buckets,
        rows=rows,
        rows_in=stats.rows_in,
        rows_out=stats.rows_out,
        dropped=stats.dropped,
        faults=stats.faults,
        unit=unit,
        asked={call: usage.asked() for call, usage in stats.usage.items()},
    )
