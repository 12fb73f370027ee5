"""The contract of a filter.

`measure` adds the filter's figures to the pairs of one bucket. Where a decision needs more than a
bucket (a quantile, duplicates of prompts), `summarize` boils a measured bucket down to a small
frame and `merge` makes one of all buckets' frames; then `decide` says which pairs go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from prefdata.config.load import validated
from prefdata.engines.base import Need
from prefdata.inference.loop import Inference


class FilterConfig(BaseModel):
    """A filter's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Texts:
    """What the pairs of a bucket are about.

    `prompts`: prompt_id, messages. `responses`: response_id, prompt_id, text, finished.
    """

    prompts: pl.DataFrame
    responses: pl.DataFrame


class Filter(ABC):
    """One filter. A figure that has a column in `FilteredPair` stays in the table."""

    kind: ClassVar[str]
    config_model: ClassVar[type[FilterConfig]]
    across_buckets: ClassVar[bool] = False
    prompt_reasons: ClassVar[frozenset[str]] = frozenset()
    """Reasons that are about the prompt: other answers to it would be dropped all the same."""

    def __init__(self, settings: dict[str, Any], where: str) -> None:
        self.config = validated(self.config_model, settings, where)

    def needs(self) -> Sequence[Need]:
        """Everything it will ask of models."""
        return []

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

    @abstractmethod
    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        """`measured` with `reason` (null: keep) and `detail`."""


def no_fault() -> pl.Expr:
    """The `fault` column of a filter that asks no model."""
    return pl.lit(None, dtype=pl.String).alias("fault")
