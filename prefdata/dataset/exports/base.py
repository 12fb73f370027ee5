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
    """Turns pairs with their texts into the rows of one consumer.

    `pairs` are `FilteredPair` rows with messages, source, split, chosen and rejected (texts);
    `record` says what the rows are.
    """

    record: ClassVar[type[Record]]
    config: ExportConfig

    @abstractmethod
    def rows(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """One row a pair in the consumer's columns."""
