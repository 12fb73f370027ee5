"""A quality-diversity archive: the best of each cell of the embedding space."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from prefdata.filters.selection.base import Selection, SelectionConfig
from prefdata.parts.numbers import NUMBER, Whole


class QualityDiversityConfig(SelectionConfig):
    kind: Literal["quality_diversity"] = "quality_diversity"
    projection: Literal["random", "principal"] = Field(
        "random",
        description="Random axes, or the principal components of the texts.",
        examples=["principal"],
    )
    dimensions: Whole = Field(4, ge=1, le=16, description="Axes of the projection.", examples=[2])
    bins: Annotated[int, Field(ge=2, le=10_000), NUMBER] | None = Field(
        None,
        description="Bins per axis; null: about as many cells as the budget.",
        examples=[3],
    )


class QualityDiversity(Selection):
    """Keeps the best of every cell of the embedding space.

    As QDHF (Ding et al., 2023, arXiv 2310.12103) lays MAP-Elites' archive (Mouret and Clune, 2015)
    over a low-dimensional projection of embeddings: here a random one, or the principal components
    of the texts at hand (QDHF learns it from human judgments of similarity, which prefdata does not
    have). Each axis is cut into bins of equally many texts. First the best of every cell is kept,
    then the second best, and so on until the budget is spent; of equal rank the one of better
    quality.
    """

    config: QualityDiversityConfig

    def select(self, vectors: np.ndarray, quality: np.ndarray, budget: int) -> np.ndarray:
        axes = min(self.config.dimensions, vectors.shape[1])
        bins = self.config.bins or max(2, round(budget ** (1 / axes)))
        cell = number_cells(project(vectors, self.config.projection, axes), bins)
        # Best first within each cell; of equal quality the earlier row.
        order = np.lexsort((-quality, cell))
        ordered = cell[order]
        start = np.searchsorted(ordered, ordered)
        rank = np.empty(len(cell), dtype=np.int64)
        rank[order] = np.arange(len(cell)) - start
        return np.lexsort((-quality, rank))[:budget]


def project(vectors: np.ndarray, projection: str, axes: int) -> np.ndarray:
    """(n, axes): the vectors in fewer dimensions."""
    if projection == "random":
        draw = np.random.default_rng(0).standard_normal((vectors.shape[1], axes))
        return vectors @ draw.astype(np.float32)
    centred = vectors - vectors.mean(axis=0)
    _, components = np.linalg.eigh(centred.T @ centred)
    main = components[:, ::-1][:, :axes]
    # An axis may point either way: its largest entry is made positive, whatever the library.
    main = main * np.sign(main[np.abs(main).argmax(axis=0), np.arange(main.shape[1])])
    return centred @ main


def number_cells(points: np.ndarray, bins: int) -> np.ndarray:
    """For each row the number of its cell."""
    number = np.zeros(len(points), dtype=np.int64)
    for axis in points.T:
        edges = np.quantile(axis, np.linspace(0, 1, bins + 1)[1:-1])
        number = number * bins + np.searchsorted(edges, axis, side="right")
    return number
