"""The contract of an export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from prefdata.config.load import validated
from prefdata.records.base import Record


class ExportConfig(BaseModel):
    """An export's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Export(ABC):
    """Turns pairs with their texts into the rows of one consumer.

    `pairs` are `FilteredPair` rows with messages, source, split, chosen and rejected (texts);
    `record` says what the rows are.
    """

    kind: ClassVar[str]
    record: ClassVar[type[Record]]
    config_model: ClassVar[type[ExportConfig]] = ExportConfig

    def __init__(self, settings: dict[str, Any], where: str) -> None:
        self.config = validated(self.config_model, settings, where)

    @abstractmethod
    def rows(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """One row a pair in the consumer's columns."""
