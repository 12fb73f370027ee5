"""Semantic duplicates: texts that say the same in other words, by embeddings; the best one stays.

SemDeDup (Abbas et al., 2023, arXiv 2303.09540): k-means first, then all pairs within a cluster, so
that the cost grows with n to the power of 1.5. Here every text goes to its two nearest clusters: a
pair is found where the two texts share one of them. Approximate in that alone; similarity is
exact up to the embeddings' rounding (embedded.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isqrt
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement
from prefdata.filters.base import Here, Mail, Message, Texts, by_part
from prefdata.filters.duplicates.base import (
    EDGES,
    ID,
    MEMBERS,
    Duplicates,
    DuplicatesConfig,
    contents,
    forest,
    identified,
)
from prefdata.filters.vectors.clusters import centres, closest
from prefdata.filters.vectors.embedded import VECTOR, embedded, matrix, packed
from prefdata.inference.loop import Inference

SAMPLE_SHIFT = np.uint64(60)
"""One text in 16, by its content, is in the sample that the clusters are made from."""
LARGEST_SAMPLE = 32_768
ONE_CLUSTER = 4096
"""Up to so many texts all are compared with all."""
PROBES = 2
_BLOCK = 2048


class SemanticDuplicatesConfig(DuplicatesConfig):
    kind: Literal["semantic_duplicates"] = "semantic_duplicates"
    model: str = "embedder"
    max_similarity: float = Field(
        0.95, gt=0, le=1, description="Cosine similarity from which on two texts are duplicates."
    )


class SemanticDuplicates(Duplicates):
    """See the module."""

    config: SemanticDuplicatesConfig
    across_buckets = True
    rounds = 1
    prompt_reasons = frozenset({"semantic_duplicate_prompt"})
    measure_name = "cosine similarity"

    @property
    def limit(self) -> float:  # type: ignore[override]
        return self.config.max_similarity

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "embed")]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        own = ID[self.config.over]
        rows = getattr(texts, self.table)
        asked = (
            identified(rows)
            .with_columns(place=rows["prompt_id"])
            .join(pairs.select(id=own), on="id", how="semi", maintain_order="left")
        )
        vectors = embedded(self.config.model, asked, inference)
        vectors = vectors.with_columns(content=contents(asked["text"]))
        return pairs.join(vectors, left_on=own, right_on="id", how="left", maintain_order="left")

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        texts = measured.unique(ID[self.config.over]).select("content", "vector", count=1)
        # The others only count: their vectors would be most of the data.
        sampled = pl.col("content") < pl.lit(1 << int(SAMPLE_SHIFT), dtype=pl.UInt64)
        rest = texts.filter(~sampled).select(
            content=pl.lit(None, dtype=pl.UInt64),
            vector=pl.lit(None, dtype=VECTOR),
            count=pl.len().cast(pl.Int32),
        )
        return pl.concat([texts.filter(sampled), rest])

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        rows = pl.concat(summaries)
        count = int(rows["count"].sum())
        # By content alone, then by the vector: equal texts have equal ones.
        sample = rows.drop_nulls().unique("content").sort("content").head(LARGEST_SAMPLE)
        clusters = 1 if count <= ONE_CLUSTER else min(isqrt(count), max(1, sample.height // 8))
        if clusters == 1:
            return pl.DataFrame(schema={"centre": VECTOR})
        return pl.DataFrame({"centre": packed(centres(matrix(sample["vector"]), clusters))})

    def scatter(
        self, measured: pl.DataFrame, summary: pl.DataFrame | None, here: Here
    ) -> Iterator[Message]:
        assert summary is not None
        known = measured.select("vector", "content", id=ID[self.config.over]).unique("id")
        units = self.units(measured, here).drop("text").join(known, on="id", maintain_order="left")
        middle = matrix(summary["centre"])
        if len(middle):
            nearest = closest(matrix(units["vector"]), middle, PROBES)
        else:
            nearest = np.zeros((units.height, 1), dtype=np.int64)
        cluster = nearest.ravel()
        rows = np.repeat(np.arange(units.height), nearest.shape[1])
        sent = units[rows].with_columns(cluster=pl.Series(cluster))
        yield from by_part("texts", sent, cluster * here.parts // max(1, len(middle)))

    def relay(self, number: int, mail: Mail, here: Here) -> Iterator[Message]:
        for cluster in mail["texts"].partition_by("cluster", maintain_order=False):
            texts = cluster.sort("number")
            edges = linked(matrix(texts["vector"]), self.config.max_similarity)
            if edges.height:
                ends = pl.concat([edges["one"], edges["other"]]).unique().sort()
                numbers = texts["number"]
                named = edges.with_columns(
                    one=numbers.gather(edges["one"]), other=numbers.gather(edges["other"])
                )
                yield Message(0, "edges", named.select(list(EDGES)))
                yield Message(0, "members", texts[ends].select(list(MEMBERS)))


def linked(vectors: np.ndarray, limit: float) -> pl.DataFrame:
    """Rows `one` and `other` with their cosine `similarity`, at least `limit`: enough of them that
    all similar rows are connected, and of each row the most similar other one.

    Not all similar pairs: of m copies of a text there would be m²/2.
    """
    count = len(vectors)
    label = np.arange(count)
    best, nearest = np.full(count, -np.inf, dtype=np.float32), np.zeros(count, dtype=np.int64)
    kept: list[np.ndarray] = []
    for top in range(0, count, _BLOCK):
        for left in range(0, top + 1, _BLOCK):
            likeness = vectors[top : top + _BLOCK] @ vectors[left : left + _BLOCK].T
            if left == top:
                np.fill_diagonal(likeness, -np.inf)
            _nearer(best, nearest, likeness, top, left)
            _nearer(best, nearest, likeness.T, left, top)
            one, other = np.nonzero(likeness >= limit)
            one, other = one + top, other + left
            used = forest(one, other, label)
            kept.append(np.stack([one[used], other[used]], axis=1))
    close = np.flatnonzero(best >= limit)
    kept.append(np.stack([close, nearest[close]], axis=1))
    pairs = np.unique(np.sort(np.concatenate(kept), axis=1), axis=0)
    similarity = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    return pl.DataFrame(
        {"one": pairs[:, 0], "other": pairs[:, 1], "similarity": similarity.astype(np.float64)}
    )


def _nearer(
    best: np.ndarray, nearest: np.ndarray, likeness: np.ndarray, row: int, column: int
) -> None:
    """Take over what is more similar in this block, whose corner is at (row, column)."""
    place = likeness.argmax(axis=1)
    value = likeness[np.arange(len(likeness)), place]
    rows = row + np.flatnonzero(value > best[row : row + len(value)])
    best[rows] = value[rows - row]
    nearest[rows] = place[rows - row] + column
