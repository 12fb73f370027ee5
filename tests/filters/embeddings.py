"""A model whose embeddings a test lays down."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import polars as pl
from filters.bucket import pairs, texts

from prefdata.engines.base import Engine, Settings, result_schema
from prefdata.filters.base import Texts
from prefdata.filters.vectors.embeddings import normalize


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


def spread(
    vectors: np.ndarray, margins: list[float], cuts: list[int]
) -> tuple[list[tuple[pl.DataFrame, Texts]], Table]:
    """One pair per prompt, in buckets, and the model that gives the prompts these vectors."""
    names = [f"{n:032x}" for n in range(len(vectors))]
    table = Table({f"text {name}": v.tolist() for name, v in zip(names, vectors, strict=True)})
    edges = [0, *sorted({c for c in cuts if c < len(names)}), len(names)]
    buckets = []
    for a, b in itertools.pairwise(edges):
        some = pairs(*((f"a{n}", f"b{n}", n) for n in names[a:b]))
        some = some.with_columns(margin=pl.Series(margins[a:b], dtype=pl.Float64))
        buckets.append((some, texts({}, {n: f"text {n}" for n in names[a:b]})))
    return buckets, table


def some_vectors(count: int, seed: int = 0) -> np.ndarray:
    """Vectors in tight groups of up to five around random directions."""
    draw = np.random.default_rng(seed)
    base = draw.normal(size=(count // 3 + 1, 12))
    centre = base[draw.integers(0, len(base), count)]
    return normalize(centre + draw.normal(size=(count, 12)) * 0.1)
