"""Ingest: source files -> data/prompts. Normalised, exact duplicates out, split by prompt id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import polars as pl

from prefdata.config.params import Params
from prefdata.errors import ConfigError
from prefdata.hashing.ids import digest
from prefdata.pipelines.beam.errors import carry
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages.base import (
    Outcome,
    Run,
    begin_tables,
    complete,
    execute,
    keep_stats,
    record,
)
from prefdata.pipelines.stats import Stats
from prefdata.records import Dropped, Prompt
from prefdata.records.base import polars_schema
from prefdata.sources.config import SourceParams
from prefdata.sources.files import count_rows
from prefdata.sources.labels import join_labels
from prefdata.sources.prompts import drop_duplicates, read_prompts
from prefdata.tables import bucket_of, buckets_for

UNIT = "rows"

Packed = tuple[int, tuple[str, bytes]]


class ReadSource(beam.DoFn):
    """One source file -> (bucket, (kind, packed frame)), kind being prompts or dropped."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, numbered: tuple[int, SourceParams]) -> Iterator[Packed]:
        position, source = numbered
        with carry():
            for prompts, dropped in read_prompts(source, position, self.run.params.ingest):
                yield from self._split("prompts", prompts, prompts["prompt_id"])
                places = pl.Series(
                    [digest([p.encode()]) for p in dropped["place"]], dtype=pl.String
                )
                yield from self._split("dropped", dropped, places)

    def _split(self, kind: str, rows: pl.DataFrame, ids: pl.Series) -> Iterator[Packed]:
        numbers = pl.Series("bucket", [bucket_of(i, self.run.buckets) for i in ids], dtype=pl.Int64)
        parts = rows.with_columns(numbers).partition_by("bucket", as_dict=True, include_key=False)
        for (bucket,), part in parts.items():
            yield int(bucket), (kind, pack(part))


class WriteBucket(beam.DoFn):
    """All that belongs in a bucket -> its file, duplicates out."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, grouped: tuple[int, Iterable[tuple[str, bytes]]]) -> Iterator[Stats]:
        bucket, parts = grouped
        with carry():
            frames: dict[str, list[pl.DataFrame]] = {
                "prompts": [pl.DataFrame(schema={**polars_schema(Prompt), "order": pl.Int64})],
                "dropped": [pl.DataFrame(schema=polars_schema(Dropped))],
            }
            for kind, content in parts:
                frames[kind].append(unpack(content))
            prompts, dropped = pl.concat(frames["prompts"]), pl.concat(frames["dropped"])
            rows, refused, joined = join_labels(prompts)
            kept, again = drop_duplicates(rows)
            outcome = Outcome(
                prompts.height + dropped.height,
                kept,
                pl.concat([dropped, refused, again]),
                rows_out=kept.height + joined,
            )
            yield record(self.run, self.run.table("prompts"), bucket, outcome)


def run_stage(params: Params, arguments: Sequence[str], quiet: bool = False) -> Stats:
    """Run the stage."""
    rows = sum(count_rows(source) for source in params.ingest.sources)
    run = Run(params, "ingest", bucket_count(params, rows), quiet)
    output = run.table("prompts")
    begin_tables(run, output)

    def build(pipeline: beam.Pipeline) -> None:
        sources = list(enumerate(params.ingest.sources))
        read = (
            pipeline
            | "Sources" >> beam.Create(sources)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(ReadSource(run))
        )
        # Every bucket gets a file, also one that no row falls into.
        empty = pipeline | "Every bucket" >> beam.Create(
            [(b, ("prompts", _nothing())) for b in range(run.buckets)]
        )
        stats = (
            (read, empty)
            | beam.Flatten()
            | "By bucket" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(WriteBucket(run))
        )
        keep_stats(run, stats)

    execute(build, arguments)
    return complete(run, output, UNIT)


def bucket_count(params: Params, rows: int) -> int:
    """As many buckets as params.yaml says, or as the rows ask for; a power of two."""
    if params.buckets == "auto":
        return buckets_for(rows)
    if params.buckets < 1 or params.buckets & (params.buckets - 1):
        raise ConfigError(
            f"buckets: {params.buckets} is no power of two", "Set 1, 2, 4, 8 … or auto."
        )
    return params.buckets


def _nothing() -> bytes:
    return pack(pl.DataFrame(schema={**polars_schema(Prompt), "order": pl.Int64}))
