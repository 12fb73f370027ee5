"""Spherical k-means (Dhillon and Modha, 2001) for cutting many vectors into neighbourhoods."""

from __future__ import annotations

import numpy as np

from prefdata.filters.vectors.embedded import normalized

ITERATIONS = 10
_ROWS = 8192


def centres(vectors: np.ndarray, count: int) -> np.ndarray:
    """(count, d) unit vectors; `count` at most the number of vectors.

    Begins with the first `count` vectors, so these should be a fair sample. A cluster that runs
    empty keeps its centre.
    """
    found = vectors[:count].copy()
    if count == 1:
        return normalized(vectors.mean(axis=0, keepdims=True))
    for _ in range(ITERATIONS):
        nearest = closest(vectors, found, 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        present, first = np.unique(nearest[order], return_index=True)
        found[present] = np.add.reduceat(vectors[order], first, axis=0)
        found = normalized(found)
    return found


def closest(vectors: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """(n, count): each vector's most similar centres, the most similar first; of equal ones the
    first. Fewer columns where there are fewer centres."""
    count = min(count, len(centres))
    found = np.empty((len(vectors), count), dtype=np.int64)
    for start in range(0, len(vectors), _ROWS):
        likeness = vectors[start : start + _ROWS] @ centres.T
        rows = np.arange(len(likeness))
        for place in range(count):
            best = likeness.argmax(axis=1)
            found[start : start + _ROWS, place] = best
            likeness[rows, best] = -np.inf
    return found
