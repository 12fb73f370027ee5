"""The exchange of a filter: frames that buckets send to partitions, and partitions to partitions.

Keys are the numbers of partitions, of which there are about the square root of the number of
buckets, and values are frames. So parcels are few and large, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from prefdata.filters.base import Location, Parcel
from prefdata.pipelines.beam.spill import Spilled, read_spilled, spill
from prefdata.pipelines.stages.base import Context
from prefdata.tables.packing import pack, unpack

if TYPE_CHECKING:
    import apache_beam as beam

    from prefdata.pipelines.beam.filter_step import FilterStep, State

Content = tuple[str, Spilled]
"""A parcel's topic and its frame."""


def count_partitions(buckets: int) -> int:
    """How many partitions an exchange has: a power of two, so that each owns a range of buckets."""
    return 1 << (buckets.bit_length() // 2)


def exchange(
    measured: beam.PCollection,
    summary: beam.PCollection | None,
    context: Context,
    step: FilterStep,
    rounds: int,
) -> beam.PCollection:
    """The summary that the filter settles, packed, as the only element of a collection.

    `summary` is the merged summary of a `SummaryExchangeFilter`, else None.
    """
    # Imported here, because worker processes do without Beam.
    import apache_beam as beam

    from prefdata.pipelines.beam.steps import apply_step, gather

    label = step.label
    scatter = partial(_scatter, step=step)
    sent = apply_step(measured, f"Scatter {label}", context, scatter, summary=summary)
    for number in range(1, rounds + 1):
        grouped = sent | f"To partitions {number} {label}" >> beam.GroupByKey()
        relay = partial(_relay, step=step, number=number)
        sent = apply_step(grouped, f"Relay {number} {label}", context, relay)
    contents = sent | f"Sent {label}" >> beam.Values()
    return gather(contents, f"Settle {label}", context, partial(_settle, step=step))


def _scatter(
    context: Context, state: State, step: FilterStep, summary: bytes | None = None
) -> Iterator[tuple[int, Content]]:
    measured = read_spilled(state.pairs)
    if not measured.height:
        return
    exchanged = step.find(context)
    if summary is not None:
        measured = exchanged.assign(measured, unpack(summary))
    parcels = exchanged.scatter(measured, _locate(context, state.bucket))
    yield from _send(context, parcels)


def _relay(
    context: Context, received: tuple[int, Iterable[Content]], step: FilterStep, number: int
) -> Iterator[tuple[int, Content]]:
    partition, contents = received
    location = _locate(context, partition)
    yield from _send(context, step.find(context).relay(number, _open(contents), location))


def _settle(context: Context, contents: list[Content], step: FilterStep) -> bytes:
    return pack(step.find(context).settle(_open(contents)))


def _locate(context: Context, number: int) -> Location:
    def read(bucket: int, table: str) -> pl.DataFrame:
        if table == "responses":
            return context.read_responses(bucket)
        return context.read("prompts", bucket, ["prompt_id", "messages", "tools"])

    return Location(number, context.buckets, count_partitions(context.buckets), read)


def _send(context: Context, parcels: Iterable[Parcel]) -> Iterator[tuple[int, Content]]:
    for parcel in parcels:
        if parcel.frame.height:
            yield parcel.partition, (parcel.topic, spill(context, parcel.frame))


def _open(contents: Iterable[Content]) -> dict[str, pl.DataFrame]:
    """The inbox: one frame of each topic."""
    frames: dict[str, list[pl.DataFrame]] = {}
    for topic, content in contents:
        frames.setdefault(topic, []).append(read_spilled(content))
    return {topic: pl.concat(received) for topic, received in frames.items()}
