"""A model whose embeddings a test lays down."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from prefdata.engines.base import Engine, Settings, result_schema


class Table(Engine):
    """Embeds by a table; a text that is not in it fails."""

    name = fingerprint = "embedder"

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        found = [self.vectors.get(text) for text in rows["text"]]
        yield pl.DataFrame(
            {
                "key": rows["key"],
                "embedding": found,
                "n_prompt_tokens": [None if v is None else 1 for v in found],
                "error": ["no vector" if v is None else None for v in found],
            },
            schema=result_schema("embed"),
            strict=False,
        )
