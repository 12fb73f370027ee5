"""An export of texts only."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl

from prefdata.dataset.exports.base import Export, ExportConfig
from prefdata.records import Record


class TextPair(Record):
    """One row of the dataset: the last user turn and two texts."""

    sort_by: ClassVar[tuple[str, ...]] = ("pair_id",)

    pair_id: str
    prompt: str
    chosen: str
    rejected: str


class TextPairsConfig(ExportConfig):
    kind: Literal["text_pairs"] = "text_pairs"


class TextPairs(Export):
    """Writes the prompt's last turn, the chosen text and the rejected text."""

    config: TextPairsConfig
    record = TextPair

    def format_rows(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return pairs.select(
            "pair_id",
            "chosen",
            "rejected",
            prompt=pl.col("messages").list.last().struct.field("content"),
        )
