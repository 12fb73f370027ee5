"""How diverse a set of vectors is: Vendi score, nearest neighbours, clusters covered.

All vectors have unit length; similarity is their cosine, distance 1 minus it.
"""

from __future__ import annotations

import numpy as np

from prefdata.filters.vectors.clusters import centres, closest

CLUSTERS = 256
"""At most so many clusters for the coverage; few texts have the square root of their number."""
SAMPLE = 2048
"""Nearest neighbours are looked up for so many of a set, spread evenly over it."""
_ROWS = 4096


def vendi(vectors: np.ndarray) -> float:
    """The Vendi score (Friedman and Dieng, 2023, arXiv 2210.02410), Definition 3.1: the
    exponential of the entropy of the eigenvalues of K/n, K the matrix of cosine similarities.

    From 1, where all are the same, to n, where all are orthogonal; n vectors of d numbers reach
    at most d. K has the eigenvalues of the d by d matrix of second moments, and zeros.
    """
    if not len(vectors):
        return 0.0
    moments = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), _ROWS):
        rows = vectors[start : start + _ROWS]
        moments += rows.T @ rows
    values = np.linalg.eigvalsh(moments / len(vectors))
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values))))


def neighbour_distance(vectors: np.ndarray) -> float:
    """Mean distance to the nearest other vector, over SAMPLE of them (all, where there are fewer);
    0 where there is no other."""
    if len(vectors) < 2:
        return 0.0
    asked = np.unique(np.linspace(0, len(vectors) - 1, SAMPLE).astype(np.int64))
    best = np.full(len(asked), -1.0)
    for start in range(0, len(vectors), _ROWS):
        likeness = vectors[asked] @ vectors[start : start + _ROWS].T
        own = np.flatnonzero((asked >= start) & (asked < start + _ROWS))
        likeness[own, asked[own] - start] = -1.0
        best = np.maximum(best, likeness.max(axis=1))
    return float(np.mean(1 - best))


def coverage(vectors: np.ndarray, sets: list[np.ndarray]) -> list[float]:
    """For each set of rows the share of the vectors' clusters in which it has at least one."""
    count = max(1, min(CLUSTERS, int(len(vectors) ** 0.5)))
    sample = np.unique(np.linspace(0, len(vectors) - 1, 64 * count).astype(np.int64))
    cluster = closest(vectors, centres(vectors[sample], count), 1)[:, 0]
    present = len(np.unique(cluster))
    return [len(np.unique(cluster[rows])) / present for rows in sets]


def compared(vectors: np.ndarray, kept: np.ndarray) -> dict[str, float]:
    """The three figures of all vectors, of the rows `kept`, and of as many rows at random."""
    drawn = np.random.default_rng(0).permutation(len(vectors))[: len(kept)]
    sets = {"before": np.arange(len(vectors)), "after": kept, "random": np.sort(drawn)}
    covered = coverage(vectors, list(sets.values()))
    figures: dict[str, float] = {}
    for name, rows in sets.items():
        figures[f"vendi_{name}"] = vendi(vectors[rows])
    for name, rows in sets.items():
        figures[f"neighbour_distance_{name}"] = neighbour_distance(vectors[rows])
    for name, share in zip(sets, covered, strict=True):
        figures[f"coverage_{name}"] = share
    return figures
