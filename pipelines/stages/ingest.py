"""Ingest: source files -> data/prompts. Normalises, deduplicates, and splits by prompt id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from prefdata.config.params import Params
from prefdata.dataset.verification.files import refuse_damage
from prefdata.errors import ConfigError
from prefdata.files.rows import Share
from prefdata.files.storage import is_remote
from prefdata.hashing.ids import digest
from prefdata.pipelines.beam.execute import count_processes
from prefdata.pipelines.beam.spill import Spilled, read_spilled, spill
from prefdata.pipelines.stages.base import Context, Outcome, Stage
from prefdata.pipelines.stages.writing import write_outcome
from prefdata.records import Prompt
from prefdata.records.base import polars_schema
from prefdata.records.dropped import no_dropped
from prefdata.sources.base import Source
from prefdata.sources.frames import keep_fold
from prefdata.sources.merge import drop_duplicates, join_annotations
from prefdata.sources.registry import SOURCES
from prefdata.tables import bucket_column, buckets_for
from prefdata.tables.packing import pack

if TYPE_CHECKING:
    import apache_beam as beam

    from prefdata.accounting.stats import Stats

Sent = tuple[int, tuple[str, Spilled]]
"""(bucket, (kind, frame)), the kind being "prompts", "dropped" or "unread"."""

Read = tuple[pl.DataFrame, pl.DataFrame]
"""Prompts and dropped rows, as `Source.read` yields them."""

_SENT_BYTES = 32 << 20
"""The size of the rows that a share reads before it sends them to their buckets. Chunk by chunk,
each of a hundred buckets would be sent a hundred rows, and so small a frame takes longer than its
rows."""

_UNREAD = pl.Schema({"position": pl.Int64(), "source": pl.String(), "field": pl.String()})


class IngestStage(Stage):
    """Reads every source and groups the rows by bucket."""

    name = "ingest"
    summary = "read, normalise and deduplicate prompts; split train and test"
    section = "ingest"
    table = "prompts"
    parts = SOURCES
    unit = "rows"

    def check(self, context: Context) -> None:
        check_bucket_count(context.params)
        for source in list_sources(context):
            path = getattr(source.config, "path", None)
            if isinstance(path, str) and not is_remote(path):
                refuse_damage(path)
            source.check()

    def count_buckets(self, context: Context) -> int:
        params = context.params
        if params.buckets != "auto":
            return params.buckets
        return buckets_for(sum(source.count_rows() for source in list_sources(context)))

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        import apache_beam as beam

        from prefdata.pipelines.beam.steps import apply_step, spread_numbers

        shares = max(1, count_processes(context.beam_arguments, context.buckets))
        count = len(context.params.ingest.sources) * shares
        sources = spread_numbers(pipeline, "Sources", context, count)
        read = apply_step(sources, "Read", context, partial(_read, shares=shares))
        # So that every bucket gets a file, even without rows.
        no_prompts = pack(_no_prompts())
        empty = pipeline | "Every bucket" >> beam.Create(
            [(bucket, ("prompts", no_prompts)) for bucket in range(context.buckets)],
            reshuffle=False,
        )
        grouped = (read, empty) | beam.Flatten() | "By bucket" >> beam.GroupByKey()
        return apply_step(grouped, "Write", context, _write)


def check_bucket_count(params: Params) -> None:
    """Raise ConfigError unless params.yaml's `buckets` is auto or a power of two."""
    count = params.buckets
    if count != "auto" and count & (count - 1):
        raise ConfigError(f"buckets: {count} is no power of two", "Set 1, 2, 4, 8 … or auto.")


def list_sources(context: Context) -> list[Source]:
    """The sources of params.yaml."""
    return context.runtime.parts(SOURCES, context.params.ingest.sources, "ingest.sources")


def _read(context: Context, number: int, shares: int) -> Iterator[Sent]:
    position, share = divmod(number, shares)
    params, source = context.params.ingest, list_sources(context)[position]
    read = source.read(
        position, params.test_fraction, params.max_prompt_chars, Share(share, shares)
    )
    for prompts, dropped in _join_chunks(read):
        yield from _send(context, "prompts", prompts, prompts["prompt_id"])
        ids = pl.Series([digest([o.encode()]) for o in dropped["origin"]], dtype=pl.String)
        yield from _send(context, "dropped", dropped, ids)
    rows = [(position, source.name, field) for field in sorted(source.unread)]
    yield 0, ("unread", pack(pl.DataFrame(rows, schema=_UNREAD, orient="row")))


def _join_chunks(chunks: Iterable[Read]) -> Iterator[Read]:
    """The same rows in fewer and larger frames."""
    waiting: list[Read] = []
    size = 0.0
    for chunk in chunks:
        waiting.append(chunk)
        size += sum(frame.estimated_size() for frame in chunk)
        if size >= _SENT_BYTES:
            yield _concat(waiting)
            waiting, size = [], 0.0
    if waiting:
        yield _concat(waiting)


def _concat(chunks: Sequence[Read]) -> Read:
    return pl.concat(prompts for prompts, _ in chunks), pl.concat(dropped for _, dropped in chunks)


def _send(context: Context, kind: str, rows: pl.DataFrame, ids: pl.Series) -> Iterator[Sent]:
    """The rows by the bucket of their id."""
    by_bucket = rows.with_columns(bucket=bucket_column(ids, context.buckets)).partition_by(
        "bucket", as_dict=True, include_key=False
    )
    for (bucket,), frame in by_bucket.items():
        yield int(bucket), (kind, spill(context, frame))


def _write(context: Context, grouped: tuple[int, Iterable[tuple[str, Spilled]]]) -> Iterator[Stats]:
    """Write a bucket's prompts without duplicates, and its dropped records."""
    bucket, sent = grouped
    frames: dict[str, list[pl.DataFrame]] = {
        "prompts": [_no_prompts()],
        "dropped": [no_dropped()],
        "unread": [pl.DataFrame(schema=_UNREAD)],
    }
    for kind, spilled in sent:
        frames[kind].append(read_spilled(spilled))
    prompts, unreadable = pl.concat(frames["prompts"]), pl.concat(frames["dropped"])
    rows, invalid, joined = join_annotations(prompts)
    kept, duplicates = drop_duplicates(rows)
    dropped, fold = [unreadable, invalid, duplicates], context.params.ingest.fold
    if fold:
        kept, others = keep_fold(kept, fold.number, fold.of)
        dropped.append(others)
    outcome = Outcome(
        prompts.height + unreadable.height,
        kept,
        pl.concat(dropped),
        rows_out=kept.height + joined,
    )
    stats = write_outcome(context, context.table("prompts"), bucket, outcome)
    yield stats.model_copy(update={"unread": _list_unread(pl.concat(frames["unread"]))})


def _list_unread(fields: pl.DataFrame) -> dict[str, list[str]]:
    """By source, in the order of params.yaml."""
    ordered = fields.sort("position", "field").group_by("source", maintain_order=True)
    return dict(ordered.agg(pl.col("field").unique(maintain_order=True)).iter_rows())


def _no_prompts() -> pl.DataFrame:
    return pl.DataFrame(schema={**polars_schema(Prompt), "order": pl.Int64})
