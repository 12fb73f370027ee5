"""The exchange of a filter: frames that buckets send to parts, and parts to parts, by content.

Keys are part numbers, about as many as the square root of the buckets, and values packed frames:
so there are few messages and they are large, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import polars as pl

from prefdata.filters import registry as lookup
from prefdata.filters.base import Filter, Here, Message
from prefdata.pipelines.beam.errors import carry
from prefdata.pipelines.beam.filter_step import FilterStep, State
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages.base import Run
from prefdata.pipelines.stages.judge import responses

Packed = tuple[int, tuple[str, bytes]]


def parts_for(buckets: int) -> int:
    """How many parts an exchange has: a power of two, so that each owns a range of buckets."""
    return 1 << (buckets.bit_length() // 2)


def here(run: Run, number: int) -> Here:
    """Where a step runs."""

    def read(bucket: int, table: str) -> pl.DataFrame:
        if table == "responses":
            return responses(run, bucket)
        return run.read("prompts", bucket, ["prompt_id", "messages"])

    return Here(number, run.buckets, parts_for(run.buckets), read)


class Scatter(FilterStep):
    """A bucket's messages."""

    def process(self, state: State, summary: bytes | None = None) -> Iterator[Packed]:
        with carry():
            measured = unpack(state.kept)
            if not measured.height:
                return
            merged = None if summary is None else unpack(summary)
            messages = self.filter.scatter(measured, merged, here(self.run, state.bucket))
            yield from _packed(messages)


class Relay(FilterStep):
    """A part's messages in round `number`."""

    def __init__(self, run: Run, part: Part, label: str, number: int) -> None:
        super().__init__(run, part, label)
        self.number = number

    def process(self, mail: tuple[int, Iterable[tuple[str, bytes]]]) -> Iterator[Packed]:
        with carry():
            part, contents = mail
            place = here(self.run, part)
            yield from _packed(self.filter.relay(self.number, _by_topic(contents), place))


class Settle(beam.CombineFn):
    """All that the last round sent -> the filter's summary."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def create_accumulator(self) -> list[tuple[str, bytes]]:
        return []

    def add_input(
        self, accumulator: list[tuple[str, bytes]], sent: tuple[str, bytes]
    ) -> list[tuple[str, bytes]]:
        accumulator.append(sent)
        return accumulator

    def merge_accumulators(
        self, accumulators: Iterable[list[tuple[str, bytes]]]
    ) -> list[tuple[str, bytes]]:
        return [sent for some in accumulators for sent in some]

    def extract_output(self, accumulator: list[tuple[str, bytes]]) -> bytes:
        with carry():
            return pack(lookup.build([self.part])[0].settle(_by_topic(accumulator)))


def exchange(
    measured: beam.PCollection,
    summary: beam.PCollection | None,
    run: Run,
    part: Part,
    f: Filter,
    label: str,
) -> beam.PCollection:
    """The filter's settled summary, packed, as the one element of a collection."""
    scatter = beam.ParDo(Scatter(run, part, label), **as_side_input(summary))
    sent = measured | f"Scatter {label}" >> scatter
    for number in range(1, f.rounds + 1):
        sent = (
            sent
            | f"To parts {number} {label}" >> beam.GroupByKey()
            | f"Relay {number} {label}" >> beam.ParDo(Relay(run, part, label, number))
        )
    return (
        sent
        | f"Sent {label}" >> beam.Values()
        | f"Settle {label}" >> beam.CombineGlobally(Settle(part))
    )


def as_side_input(summary: beam.PCollection | None) -> dict[str, beam.pvalue.AsSingleton]:
    """The summary, if there is one, as an argument of a step's `process`."""
    return {} if summary is None else {"summary": beam.pvalue.AsSingleton(summary)}


def _packed(messages: Iterable[Message]) -> Iterator[Packed]:
    for message in messages:
        if message.frame.height:
            yield message.to, (message.topic, pack(message.frame))


def _by_topic(contents: Iterable[tuple[str, bytes]]) -> dict[str, pl.DataFrame]:
    frames: dict[str, list[pl.DataFrame]] = {}
    for topic, content in contents:
        frames.setdefault(topic, []).append(unpack(content))
    return {topic: pl.concat(some) for topic, some in frames.items()}
