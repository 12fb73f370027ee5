"""k-center: the prompts or pairs that leave nothing far from what stays."""

from __future__ import annotations

from typing import Literal

import numpy as np

from prefdata.filters.selection.base import Selection, SelectionConfig

_FRONT = 4096


class KCenterConfig(SelectionConfig):
    kind: Literal["k_center"] = "k_center"


class KCenter(Selection):
    """Keeps the prompts or pairs that leave nothing far from what stays.

    Gonzalez' farthest-first traversal (1985), exact: begins with the one of the best quality and
    takes what lies farthest from all taken so far. The largest distance left is at most twice the
    least possible one (in the angle's chord, of which cosine distance is half the square).
    """

    config: KCenterConfig

    def select(self, vectors: np.ndarray, quality: np.ndarray, budget: int) -> np.ndarray:
        return take_farthest(vectors, int(np.argmax(quality)), budget)


def take_farthest(vectors: np.ndarray, first: int, count: int) -> np.ndarray:
    """`count` rows in the order in which they are taken; of equally far ones the earliest.

    Lazily: a distance to the nearest taken one only ever falls, so one that was computed earlier
    is an upper bound, and only rows whose bound is among the largest are brought up to date, many
    at once. The picks are those of the plain traversal.
    """
    taken = [first]
    bound = 1 - vectors @ vectors[first]
    bound[first] = -np.inf
    seen = np.ones(len(vectors), dtype=np.int64)
    while len(taken) < count:
        front = _find_front(bound)
        outside = np.delete(bound, front).max(initial=-np.inf)
        _refresh(vectors, bound, seen, front, taken)
        near, own = vectors[front], bound[front]
        while len(taken) < count:
            farthest = int(own.argmax())
            if own[farthest] <= outside:
                break
            taken.append(int(front[farthest]))
            own = np.minimum(own, 1 - near @ near[farthest])
            own[farthest] = -np.inf
        bound[front] = own
        seen[front] = len(taken)
    return np.array(taken)


def _find_front(bound: np.ndarray) -> np.ndarray:
    """The rows of the largest bounds, ascending; all that share the least of these."""
    if len(bound) <= _FRONT:
        return np.arange(len(bound))
    return np.flatnonzero(bound >= np.partition(bound, -_FRONT)[-_FRONT])


def _refresh(
    vectors: np.ndarray, bound: np.ndarray, seen: np.ndarray, rows: np.ndarray, taken: list[int]
) -> None:
    """Bring the rows' bounds up to date with all that were taken since."""
    for since in np.unique(seen[rows]):
        # Rows that were brought up to date together are so again: few products, and large ones.
        some = rows[seen[rows] == since]
        for start in range(0, len(some), _FRONT):
            block = some[start : start + _FRONT]
            new = vectors[taken[since:]]
            if len(new):
                distance = 1 - (vectors[block] @ new.T).max(axis=1)
                bound[block] = np.minimum(bound[block], distance)
    seen[rows] = len(taken)
