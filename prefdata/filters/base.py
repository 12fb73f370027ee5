"""The contract of a filter, in three shapes: by how much of the data one decision needs.

- `RowFilter` decides on a pair by what is in its bucket.
- `SummaryFilter` boils every bucket down to a small frame and makes one of them all (a quantile,
  a selection), by which it decides.
- `ExchangeFilter` compares what lies in different buckets and is too large for one place
  (duplicates): buckets send frames to partitions by what they have in common, and partitions to
  partitions, in rounds. Where a bucket must know something of all the others before it sends
  (the clusters of all texts), it is a `SummaryExchangeFilter`.

```text
RowFilter       measure ─────────────────────────────────────────────► decide
SummaryFilter   measure ─► summarize ─► merge ───────────────────────► decide
ExchangeFilter  measure ─────────────► scatter ─► relay … ─► settle ─► decide
  with summary  measure ─► summarize ─► merge ─► assign ─► scatter ─► relay … ─► settle ─► decide
runs on a       bucket     bucket       all      bucket    bucket     partition  all       bucket
```
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from prefdata.inference.loop import Inference
from prefdata.parts import Part, PartConfig
from prefdata.records.figure import Figure


class FilterConfig(PartConfig):
    """A filter's settings."""


@dataclass(frozen=True)
class Texts:
    """What the pairs of a bucket are about.

    `prompts`: prompt_id, messages. `responses`: response_id, prompt_id, text, finished.
    """

    prompts: pl.DataFrame
    responses: pl.DataFrame


class Filter(Part):
    """What the shapes share. A figure that has a column in `FilteredPair` stays in the table."""

    config: FilterConfig

    prompt_reasons: ClassVar[frozenset[str]] = frozenset()
    """Reasons that are about the prompt: other responses to it would be dropped all the same."""

    @abstractmethod
    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        """Add the filter's columns, and `fault`: why a pair has no figure, where a model call
        failed.

        Args:
            pairs: The bucket's `AugmentedPair` rows, with what earlier filters added.
            texts: All prompts and responses of the bucket.
            inference: Asks models, as `requirements` announced.

        Returns:
            The pairs, in their order.
        """


class RowFilter(Filter):
    """Decides within a bucket."""

    @abstractmethod
    def decide(self, measured: pl.DataFrame) -> pl.DataFrame:
        """`measured` with `reason` (null: keep the pair) and `detail`."""


class CrossBucketFilter(Filter):
    """What the shapes share that decide by a summary of all buckets."""

    @abstractmethod
    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        """`measured`, of one bucket, with `reason` (null: keep the pair) and `detail`.

        `summary` is what `merge`, or in an exchange `settle`, made.
        """

    def figures(self, summary: pl.DataFrame) -> list[Figure]:
        """What the summary says of all pairs together, for the funnel."""
        return []


class SummarizingFilter(CrossBucketFilter):
    """What the shapes share that make one small frame of all buckets."""

    @abstractmethod
    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        """What must be known elsewhere of this bucket."""

    @abstractmethod
    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One frame from all buckets' summaries, at least one, whatever their order."""


class SummaryFilter(SummarizingFilter):
    """Decides by one small frame that is made of all buckets."""


@dataclass(frozen=True)
class Parcel:
    """A frame for a partition of an exchange; frames of one `topic` that reach it become one.

    Few and large ones: a runner pays for each parcel, hardly for what is in it.
    """

    partition: int
    topic: str
    frame: pl.DataFrame


Inbox = Mapping[str, pl.DataFrame]
"""What reached a partition in a round: topic -> frame. The order of its rows is not fixed."""


@dataclass(frozen=True)
class Location:
    """Where a step of an exchange runs.

    `number` is that of the bucket for `scatter`, of the partition for `relay`. `read` gives a
    bucket's rows of `Texts.prompts` or `Texts.responses`, by that name, always in the same order.
    """

    number: int
    buckets: int
    partitions: int
    read: Callable[[int, str], pl.DataFrame]


class ExchangeFilter(CrossBucketFilter):
    """Decides by what buckets and partitions send each other in `rounds` rounds."""

    rounds: ClassVar[int]

    @abstractmethod
    def scatter(self, measured: pl.DataFrame, location: Location) -> Iterator[Parcel]:
        """What partitions must know of this bucket."""

    @abstractmethod
    def relay(self, number: int, inbox: Inbox, location: Location) -> Iterator[Parcel]:
        """Round `number`, from 1: what a partition makes of its inbox, and where that goes."""

    @abstractmethod
    def settle(self, inbox: Inbox) -> pl.DataFrame:
        """The summary for `decide` from all that the last round sent, whatever its order."""


class SummaryExchangeFilter(SummarizingFilter, ExchangeFilter):
    """An exchange in which a bucket needs a summary of all buckets before it sends anything."""

    @abstractmethod
    def assign(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        """`measured` with what `scatter` must know of it; `summary` is what `merge` made."""


def split_by_partition(topic: str, frame: pl.DataFrame, partitions: np.ndarray) -> Iterator[Parcel]:
    """A parcel for each partition that `partitions`, one number per row, names."""
    order = np.argsort(partitions, kind="stable")
    rows, targets = frame[order], partitions[order]
    starts = np.flatnonzero(np.diff(targets, prepend=-1))
    ends = np.append(starts[1:], len(targets))[: len(starts)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        yield Parcel(int(targets[start]), topic, rows[start:end])


def no_fault() -> pl.Expr:
    """The `fault` column of a filter that asks no model."""
    return pl.lit(None, dtype=pl.String).alias("fault")
