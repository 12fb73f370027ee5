"""Connected components of a graph, for thousands of edges at once."""

from __future__ import annotations

import numpy as np


def find_components(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """For each of `count` nodes the least node of its connected component."""
    label = np.arange(count)
    join_components(one, other, label)
    return label


def join_components(one: np.ndarray, other: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Join the components that the edges (one[i], other[i]) connect.

    `label`, the least node of each node's component, is updated in place. Returns the indices of
    edges that suffice to connect them: a forest.

    Every round hooks each root that has smaller neighbouring ones under the smallest of these and
    shortens all paths: logarithmically many rounds, also along a chain (Boruvka; Shiloach and
    Vishkin).
    """
    left = np.arange(len(one))
    used: list[np.ndarray] = []
    while True:
        a, b = label[one[left]], label[other[left]]
        left, a, b = left[a != b], a[a != b], b[a != b]
        if not len(left):
            return np.concatenate([*used, left])
        high, low = np.maximum(a, b), np.minimum(a, b)
        order = np.lexsort((low, high))
        roots, first = np.unique(high[order], return_index=True)
        label[roots] = low[order][first]
        used.append(left[order][first])
        while not np.array_equal(label, above := label[label]):
            label[:] = above
