"""k-center: prompts or pairs such that no other one is far from all of them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from prefdata.filters.selection.base import Selection, SelectionConfig

_FRONT = 4096


class KCenterConfig(SelectionConfig):
    kind: Literal["k_center"] = "k_center"


class KCenter(Selection):
    """Keeps prompts or pairs such that no dropped one is far from all of them.

    Gonzalez' farthest-first traversal (1985), exact: starts with the row of the best quality and
    repeatedly takes the row farthest from all taken so far. The largest remaining distance is at
    most twice the least possible one (as chord length; cosine distance is half its square).
    """

    config: KCenterConfig

    def select(self, vectors: np.ndarray, quality: np.ndarray, budget: int) -> np.ndarray:
        return take_farthest(vectors, int(np.argmax(quality)), budget)


def take_farthest(vectors: np.ndarray, first: int, count: int) -> np.ndarray:
    """`count` rows in the order in which they are taken; of equally far rows the earliest.

    Lazy: the distance to the nearest taken row never rises, so a distance computed earlier is an
    upper bound. Only the rows with the largest bounds are updated, many at once. The result is
    that of the plain traversal.
    """
    taken = [first]
    bound = 1 - vectors @ vectors[first]
    bound[first] = -np.inf
    seen = np.ones(len(vectors), dtype=np.int64)
    while len(taken) < count:
        front = _find_front(bound)
        outside = np.delete(bound, front).max(initial=-np.inf)
        _refresh(vectors, bound, seen, front, taken)
        near, distance = vectors[front], bound[front]
        while len(taken) < count:
            farthest = int(distance.argmax())
            if distance[farthest] <= outside:
                break
            taken.append(int(front[farthest]))
            distance = np.minimum(distance, 1 - near @ near[farthest])
            distance[farthest] = -np.inf
        bound[front] = distance
        seen[front] = len(taken)
    return np.array(taken)


def _find_front(bound: np.ndarray) -> np.ndarray:
    """The rows with the largest bounds, ascending, including all ties of the least one."""
    if len(bound) <= _FRONT:
        return np.arange(len(bound))
    return np.flatnonzero(bound >= np.partition(bound, -_FRONT)[-_FRONT])


def _refresh(
    vectors: np.ndarray, bound: np.ndarray, seen: np.ndarray, rows: np.ndarray, taken: list[int]
) -> None:
    """Update the rows' bounds by all rows that were taken since their last update."""
    for since in np.unique(seen[rows]):
        # Rows last updated together are updated together again: few large matrix products.
        stale = rows[seen[rows] == since]
        for start in range(0, len(stale), _FRONT):
            block = stale[start : start + _FRONT]
            new = vectors[taken[since:]]
            if len(new):
                distance = 1 - (vectors[block] @ new.T).max(axis=1)
                bound[block] = np.minimum(bound[block], distance)
    seen[rows] = len(taken)
