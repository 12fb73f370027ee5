"""The contract of a filter.

`measure` adds the filter's figures to the pairs of one bucket, and `decide` says which pairs go.
Where a decision needs more than a bucket there are two ways, which a filter may also combine:

- `summarize` boils a measured bucket down to a small frame and `merge` makes one of all buckets'
  frames (a quantile, the centres of clusters);
- an exchange, for what is too large for one place (duplicates): `scatter` sends a bucket's rows
  as frames to parts, by what they have in common; in each of `rounds` rounds `relay` takes what
  reached a part and sends on; the last round's frames reach `settle`, which makes one of them.

```text
measure ─► summarize ─► merge ─► scatter ─► relay … relay ─► settle ─► decide
bucket     bucket       all      bucket     part     part    all       bucket
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


class FilterConfig(PartConfig):
    """A filter's settings."""


@dataclass(frozen=True)
class Texts:
    """What the pairs of a bucket are about.

    `prompts`: prompt_id, messages. `responses`: response_id, prompt_id, text, finished.
    """

    prompts: pl.DataFrame
    responses: pl.DataFrame


@dataclass(frozen=True)
class Message:
    """A frame for a part of an exchange; frames of one `topic` that reach a part become one.

    Few and large ones: a runner pays for each message, hardly for what is in it.
    """

    to: int
    topic: str
    frame: pl.DataFrame


Mail = Mapping[str, pl.DataFrame]
"""What reached a part in a round: topic -> frame. The order of its rows is not fixed."""


@dataclass(frozen=True)
class Here:
    """Where a step of an exchange runs: bucket `number` for `scatter`, part `number` for `relay`.

    `read` gives a bucket's rows of `Texts.prompts` or `Texts.responses`, by that name, always in
    the same order.
    """

    number: int
    buckets: int
    parts: int
    read: Callable[[int, str], pl.DataFrame]


class Filter(Part):
    """One filter. A figure that has a column in `FilteredPair` stays in the table."""

    config: FilterConfig
    across_buckets: ClassVar[bool] = False
    """Has `summarize` and `merge`."""
    rounds: ClassVar[int] = 0
    """Above 0: has `scatter`, `relay` and `settle`, and so many rounds of `relay`."""
    prompt_reasons: ClassVar[frozenset[str]] = frozenset()
    """Reasons that are about the prompt: other responses to it would be dropped all the same."""

    @abstractmethod
    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        """The pairs, in their order, with the filter's columns and `fault` (why there is no
        figure, where a model call failed) set."""

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        """What `decide` must know of this bucket when it decides on another."""
        raise TypeError(f"filter {self.kind} decides within a bucket")

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One frame from all buckets' summaries, whatever their order."""
        raise TypeError(f"filter {self.kind} decides within a bucket")

    def scatter(
        self, measured: pl.DataFrame, summary: pl.DataFrame | None, here: Here
    ) -> Iterator[Message]:
        """What other parts must know of this bucket. `summary` is what `merge` made, if any."""
        raise TypeError(f"filter {self.kind} has no exchange")

    def relay(self, number: int, mail: Mail, here: Here) -> Iterator[Message]:
        """Round `number`, from 1: what a part makes of its mail, and where that goes."""
        raise TypeError(f"filter {self.kind} has no exchange")

    def settle(self, mail: Mail) -> pl.DataFrame:
        """The summary for `decide` from all that the last round sent, whatever its order."""
        raise TypeError(f"filter {self.kind} has no exchange")

    @abstractmethod
    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        """`measured` with `reason` (null: keep) and `detail`.

        `summary` is what `settle` or else `merge` made.
        """

    def figures(self, summary: pl.DataFrame) -> dict[str, float]:
        """What the summary says of all pairs together, for the funnel: name -> value."""
        return {}


def by_part(topic: str, frame: pl.DataFrame, parts: np.ndarray) -> Iterator[Message]:
    """A message to each part that `parts`, one number a row, names."""
    order = np.argsort(parts, kind="stable")
    ordered, sorted_parts = frame[order], parts[order]
    starts = np.flatnonzero(np.diff(sorted_parts, prepend=-1))
    ends = np.append(starts[1:], len(parts))[: len(starts)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        yield Message(int(sorted_parts[start]), topic, ordered[start:end])


def no_fault() -> pl.Expr:
    """The `fault` column of a filter that asks no model."""
    return pl.lit(None, dtype=pl.String).alias("fault")
