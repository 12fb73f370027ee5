"""The contract of an export."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import polars as pl

from prefdata.parts import Part, PartConfig
from prefdata.records.base import Record


class ExportConfig(PartConfig):
    """An export's settings."""


class Export(Part):
    """Turns pairs with their texts into the rows that a consumer reads.

    Some datasets have structure: tools, tool calls or thoughts. An export that can write them has a
    second record for these, and finds out whether a dataset needs it.
    """

    config: ExportConfig
    record: ClassVar[type[Record]]
    """The record of its rows."""
    structured: ClassVar[type[Record] | None] = None
    """The record of the rows of a dataset with structure; None: `record`, which leaves it out."""

    @abstractmethod
    def format_rows(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """One row per pair, in their order, in the consumer's columns.

        Args:
            pairs: `FilteredPair` rows with the prompt's messages, tools, source and split; the
                texts chosen and rejected, without thoughts and calls; and these as chosen_thoughts,
                chosen_tool_calls, rejected_thoughts and rejected_tool_calls.
        """

    def list_structure(self, pairs: pl.DataFrame) -> list[str]:
        """What the pairs' rows are to hold of tools, tool calls and thoughts, as the rows call it,
        such as tools, tool_calls and reasoning_content.

        Args:
            pairs: As for `format_rows`, of the columns of the texts and the prompt alone.
        """
        return []

    def format_structured(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """The rows as `structured`, in a dataset where `list_structure` is of some pairs not empty;
        see `format_rows`."""
        return self.format_rows(pairs)
