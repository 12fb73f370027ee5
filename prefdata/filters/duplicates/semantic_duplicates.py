"""Semantic duplicates: texts that say the same in other words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isqrt
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement
from prefdata.filters.base import (
    Inbox,
    Location,
    Parcel,
    SummaryExchangeFilter,
    Texts,
    split_by_partition,
)
from prefdata.filters.duplicates.base import EDGES, MEMBERS, Duplicates, DuplicatesConfig
from prefdata.filters.duplicates.components import join_components
from prefdata.filters.subjects import hash_contents, select_texts
from prefdata.filters.vectors.clusters import find_centres, rank_centres
from prefdata.filters.vectors.embeddings import VECTOR, embed_texts, pack_vectors, unpack_vectors
from prefdata.inference.loop import Inference
from prefdata.parts.numbers import Share

SAMPLE_SHIFT = np.uint64(60)
"""One text in 16, those of a content hash below 2**60, is in the sample for the clusters."""
LARGEST_SAMPLE = 32_768
ONE_CLUSTER = 4096
"""Up to this many texts, all are compared with all."""
PROBES = 2
_BLOCK = 2048


class SemanticDuplicatesConfig(DuplicatesConfig):
    kind: Literal["semantic_duplicates"] = "semantic_duplicates"
    model: str = Field("embedder", description="The embedding model.", examples=["other"])
    max_similarity: Share = Field(
        0.95,
        description="Least cosine similarity of two duplicates.",
        examples=[1.0],
    )

    asks_again = frozenset({"model", "over"})


class SemanticDuplicates(Duplicates, SummaryExchangeFilter):
    """Keeps the best of several prompts, or responses, that say the same in other words, by the
    cosine similarity of their embeddings.

    As SemDeDup (Abbas et al., 2023, arXiv 2303.09540, Section 3): k-means first, then all pairs
    within a cluster, so that the cost grows with n to the power of 1.5. Here every text goes to its
    two nearest clusters, and a pair is found if its texts share one of them. Only this step is
    approximate: similarity is exact up to the embeddings' rounding (embeddings.py).
    """

    config: SemanticDuplicatesConfig
    rounds = 1
    prompt_reasons = frozenset({"semantic_duplicate_prompt"})
    similarity = "cosine similarity"

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "embed")]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        rows = texts.prompts if self.table == "prompts" else texts.responses
        asked = (
            select_texts(rows)
            .with_columns(rows["prompt_id"])
            .join(pairs.select(id=self.id_column), on="id", how="semi", maintain_order="left")
        )
        vectors = embed_texts(self.config.model, asked, inference)
        vectors = vectors.with_columns(content=hash_contents(asked["text"]))
        return pairs.join(
            vectors, left_on=self.id_column, right_on="id", how="left", maintain_order="left"
        )

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        texts = measured.unique(self.id_column).select("content", "vector", count=1)
        # Of the other texts only their number: their vectors would be most of the data.
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
        # Sorted by content, so that no id matters; equal texts have equal vectors.
        sample = rows.drop_nulls().unique("content").sort("content").head(LARGEST_SAMPLE)
        clusters = 1 if count <= ONE_CLUSTER else min(isqrt(count), max(1, sample.height // 8))
        if clusters == 1:
            return pl.DataFrame(schema={"centre": VECTOR})
        centres = find_centres(unpack_vectors(sample["vector"]), clusters)
        return pl.DataFrame({"centre": pack_vectors(centres)})

    def assign(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        """Add `cluster`, the numbers of the clusters of the pair's text, and `clusters`, the number
        of all clusters."""
        texts = measured.select("vector", id=self.id_column).unique("id")
        centres = unpack_vectors(summary["centre"])
        if len(centres):
            nearest = rank_centres(unpack_vectors(texts["vector"]), centres, PROBES)
        else:
            nearest = np.zeros((texts.height, 1), dtype=np.int64)
        cluster = pl.Series("cluster", nearest).cast(pl.List(pl.Int64))
        assigned = texts.select("id", cluster, clusters=pl.lit(max(1, len(centres))))
        return measured.join(
            assigned, left_on=self.id_column, right_on="id", how="left", maintain_order="left"
        )

    def scatter(self, measured: pl.DataFrame, location: Location) -> Iterator[Parcel]:
        columns = ["vector", "content", "cluster", "clusters"]
        texts = measured.select(*columns, id=self.id_column).unique("id")
        units = self.collect_units(measured, location).drop("text")
        sent = units.join(texts, on="id", maintain_order="left").explode("cluster")
        partition = sent.select(pl.col("cluster") * location.partitions // pl.col("clusters"))
        yield from split_by_partition(
            "texts", sent.drop("clusters"), partition.to_series().to_numpy()
        )

    def relay(self, number: int, inbox: Inbox, location: Location) -> Iterator[Parcel]:
        for cluster in inbox["texts"].partition_by("cluster", maintain_order=False):
            texts = cluster.sort("number")
            edges = link_similar(unpack_vectors(texts["vector"]), self.config.max_similarity)
            if edges.height:
                ends = pl.concat([edges["one"], edges["other"]]).unique().sort()
                numbers = texts["number"]
                named = edges.with_columns(
                    one=numbers.gather(edges["one"]), other=numbers.gather(edges["other"])
                )
                yield Parcel(0, "edges", named.select(list(EDGES)))
                yield Parcel(0, "members", texts[ends].select(list(MEMBERS)))


def link_similar(vectors: np.ndarray, limit: float) -> pl.DataFrame:
    """Link rows `one` and `other` of a cosine `similarity` of at least `limit`.

    The links connect all similar rows and join each row to its most similar one. They are not all
    similar pairs: m copies of a text would make m²/2.
    """
    count = len(vectors)
    label = np.arange(count)
    best, nearest = np.full(count, -np.inf, dtype=np.float32), np.zeros(count, dtype=np.int64)
    links: list[np.ndarray] = []
    for top in range(0, count, _BLOCK):
        for left in range(0, top + 1, _BLOCK):
            likeness = vectors[top : top + _BLOCK] @ vectors[left : left + _BLOCK].T
            if left == top:
                np.fill_diagonal(likeness, -np.inf)
            _update_nearest(best, nearest, likeness, top, left)
            _update_nearest(best, nearest, likeness.T, left, top)
            one, other = np.nonzero(likeness >= limit)
            one, other = one + top, other + left
            used = join_components(one, other, label)
            links.append(np.stack([one[used], other[used]], axis=1))
    close = np.flatnonzero(best >= limit)
    links.append(np.stack([close, nearest[close]], axis=1))
    pairs = np.unique(np.sort(np.concatenate(links), axis=1), axis=0)
    similarity = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    return pl.DataFrame(
        {"one": pairs[:, 0], "other": pairs[:, 1], "similarity": similarity.astype(np.float64)}
    )


def _update_nearest(
    best: np.ndarray, nearest: np.ndarray, likeness: np.ndarray, row: int, column: int
) -> None:
    """Update `best` and `nearest` by a block of similarities whose corner is at (row, column)."""
    likest = likeness.argmax(axis=1)
    value = likeness[np.arange(len(likeness)), likest]
    rows = row + np.flatnonzero(value > best[row : row + len(value)])
    best[rows] = value[rows - row]
    nearest[rows] = likest[rows - row] + column
