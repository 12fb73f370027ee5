"""Facility location: the prompts or pairs that represent all others best."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Literal

import numpy as np

from prefdata.filters.selection.base import Selection, SelectionConfig
from prefdata.filters.vectors.clusters import find_centres, rank_centres

LARGEST = 1024
_PER_CLUSTER = 256
_SAMPLE = 32_768


class FacilityLocationConfig(SelectionConfig):
    kind: Literal["facility_location"] = "facility_location"


class FacilityLocation(Selection):
    """Keeps the prompts or pairs that represent all others best.

    Maximises the sum over all texts of their cosine similarity (0 where it is negative) to the
    most similar one that is kept. The sum counts every text, so common texts get more of the
    budget than rare ones: the result is a small set that stands for the large one. For the most
    diverse set use k_center.

    Exact lazy greedy (Minoux, 1978), within (1 - 1/e) of the best possible (Nemhauser et al.,
    1978), of that sum with one simplification: a text is represented only by texts of its own
    k-means cluster, of LARGEST at most. So clusters are independent, and the greedy order of
    all texts is the merge of theirs; without this the cost would grow with the square of n.
    """

    config: FacilityLocationConfig

    def select(self, vectors: np.ndarray, quality: np.ndarray, budget: int) -> np.ndarray:
        orders = [
            (
                (-gain, -quality[row], row)
                for gain, row in rank_by_gain(vectors[rows], rows, quality[rows])
            )
            for rows in split_neighbourhoods(vectors)
        ]
        merged = heapq.merge(*orders)
        return np.array([row for _, (_, _, row) in zip(range(budget), merged, strict=False)])


def split_neighbourhoods(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """The rows in clusters of LARGEST at most; a larger cluster is cut by position."""
    if len(vectors) <= LARGEST:
        yield np.arange(len(vectors))
        return
    count = -(-len(vectors) // _PER_CLUSTER)
    share = max(1, len(vectors) // _SAMPLE)
    sample = vectors[::share]
    count = min(count, max(1, len(sample) // 8))
    cluster = rank_centres(vectors, find_centres(sample, count), 1)[:, 0]
    order = np.argsort(cluster, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1):
        for start in range(0, len(rows), LARGEST):
            yield rows[start : start + LARGEST]


def rank_by_gain(
    vectors: np.ndarray, rows: np.ndarray, quality: np.ndarray
) -> Iterator[tuple[float, int]]:
    """(gain, row) in the order of the greedy algorithm; of equal gains the row of better quality,
    then the earlier one. Lazy: gains never rise, so a gain computed earlier is an upper bound."""
    likeness = np.maximum(vectors @ vectors.T, 0).astype(np.float64)
    covered = np.zeros(len(vectors))
    heap = [(-gain, -quality[i], i, 0) for i, gain in enumerate(likeness.sum(axis=0).tolist())]
    heapq.heapify(heap)
    last = np.inf
    taken = 0
    while heap:
        bound, worse, i, seen = heapq.heappop(heap)
        if seen == taken:
            # Rounding may lift a gain slightly above the one before; the merge needs order.
            last = min(last, -bound)
            yield last, int(rows[i])
            covered = np.maximum(covered, likeness[i])
            taken += 1
        else:
            gain = float(np.maximum(likeness[i] - covered, 0).sum())
            heapq.heappush(heap, (-gain, worse, i, taken))
