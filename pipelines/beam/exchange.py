"""The exchange of a filter: frames that buckets send to partitions, and partitions to partitions.

Keys are partition numbers, about as many as the square root of the buckets, and values packed
frames: so there are few messages and they are large, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import apache_beam as beam
import polars as pl

from prefdata.filters.base import Here, Message
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.beam.steps import apply_step, gather
from prefdata.pipelines.stages.base import Context

Packed = tuple[int, tuple[str, bytes]]


def count_partitions(buckets: int) -> int:
    """How many partitions an exchange has: a power of two, so that each owns a range of buckets."""
    return 1 << (buckets.bit_length() // 2)


def exchange(
    measured: beam.PCollection,
    summary: beam.PCollection | None,
    context: Context,
    position: int,
    rounds: int,
    label: str,
) -> beam.PCollection:
    """The filter's settled summary, packed, as the one element of a collection."""
    scatter = partial(_scatter, position=position)
    sent = apply_step(measured, f"Scatter {label}", context, scatter, summary=summary)
    for number in range(1, rounds + 1):
        grouped = sent | f"To partitions {number} {label}" >> beam.GroupByKey()
        relay = partial(_relay, position=position, number=number)
        sent = apply_step(grouped, f"Relay {number} {label}", context, relay)
    values = sent | f"Sent {label}" >> beam.Values()
    return gather(values, f"Settle {label}", context, partial(_settle, position=position))


def _scatter(
    context: Context, state: Any, position: int, summary: bytes | None = None
) -> Iterator[Packed]:
    measured = unpack(state.kept)
    if not measured.height:
        return
    merged = None if summary is None else unpack(summary)
    place = _locate(context, state.bucket)
    yield from _pack(_filter(context, position).scatter(measured, merged, place))


def _relay(
    context: Context, mail: tuple[int, Iterable[tuple[str, bytes]]], position: int, number: int
) -> Iterator[Packed]:
    partition, contents = mail
    place = _locate(context, partition)
    yield from _pack(_filter(context, position).relay(number, _by_topic(contents), place))


def _settle(context: Context, sent: list[Any], position: int) -> bytes:
    return pack(_filter(context, position).settle(_by_topic(sent)))


def _filter(context: Context, position: int) -> Any:
    from prefdata.pipelines.stages.filter import make_filters

    return make_filters(context)[position]


def _locate(context: Context, number: int) -> Here:
    """Where a step runs."""

    def read(bucket: int, table: str) -> pl.DataFrame:
        if table == "responses":
            return context.read_responses(bucket)
        return context.read("prompts", bucket, ["prompt_id", "messages"])

    return Here(number, context.buckets, count_partitions(context.buckets), read)


def _pack(messages: Iterable[Message]) -> Iterator[Packed]:
    for message in messages:
        if message.frame.height:
            yield message.to, (message.topic, pack(message.frame))


def _by_topic(contents: Iterable[tuple[str, bytes]]) -> dict[str, pl.DataFrame]:
    frames: dict[str, list[pl.DataFrame]] = {}
    for topic, content in contents:
        frames.setdefault(topic, []).append(unpack(content))
    return {topic: pl.concat(some) for topic, some in frames.items()}
