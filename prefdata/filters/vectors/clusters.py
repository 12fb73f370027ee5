"""Spherical k-means (Dhillon and Modha, 2001) for cutting many vectors into neighbourhoods."""

from __future__ import annotations

import numpy as np

from prefdata.filters.vectors.embeddings import normalize

ITERATIONS = 10
_ROWS = 8192


def find_centres(vectors: np.ndarray, count: int) -> np.ndarray:
    """(count, d) unit vectors; `count` at most the number of vectors.

    Starts with the first `count` vectors as centres, so these should be a fair sample. An empty
    cluster keeps its centre.
    """
    if count == 1:
        return normalize(vectors.mean(axis=0, keepdims=True))
    centres = vectors[:count].copy()
    for _ in range(ITERATIONS):
        nearest = rank_centres(vectors, centres, 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        present, first = np.unique(nearest[order], return_index=True)
        centres[present] = np.add.reduceat(vectors[order], first, axis=0)
        centres = normalize(centres)
    return centres


def rank_centres(vectors: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """(n, count): each vector's most similar centres, most similar first; of equal ones the first.
    Fewer columns where there are fewer centres."""
    count = min(count, len(centres))
    ranking = np.empty((len(vectors), count), dtype=np.int64)
    for start in range(0, len(vectors), _ROWS):
        likeness = vectors[start : start + _ROWS] @ centres.T
        rows = np.arange(len(likeness))
        for rank in range(count):
            best = likeness.argmax(axis=1)
            ranking[start : start + _ROWS, rank] = best
            likeness[rows, best] = -np.inf
    return ranking
