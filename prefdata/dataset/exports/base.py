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
    """Turns pairs with their texts into the rows that a consumer reads."""

    config: ExportConfig
    record: ClassVar[type[Record]]
    """The record of its rows."""

    @abstractmethod
    def format_rows(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """One row per pair, in their order, in the consumer's columns.

        Args:
            pairs: `FilteredPair` rows with the prompt's messages, source and split, and the texts
                chosen and rejected.
        """
