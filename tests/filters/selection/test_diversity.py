"""The figures of diversity, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from filters.embeddings import some_vectors

from prefdata.filters.selection.diversity import (
    cluster_coverage,
    compare_diversity,
    neighbour_distance,
)


def test_the_distance_to_the_nearest() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]])
    assert neighbour_distance(vectors) == pytest.approx(np.mean([0.4, 0.2, 0.2]))
    assert neighbour_distance(vectors[:1]) == 0
    many = some_vectors(5000)
    likeness = many @ many.T
    np.fill_diagonal(likeness, -1)
    assert neighbour_distance(many) == pytest.approx(np.mean(1 - likeness.max(axis=1)), rel=0.1)


def test_coverage_is_the_share_of_clusters() -> None:
    vectors = np.repeat(np.eye(4), 4, 0)[[0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]]
    groups = [np.arange(16), np.array([0, 4, 8]), np.array([0, 1]), np.array([], dtype=int)]
    assert cluster_coverage(vectors, groups) == [1, 0.25, 0.5, 0]


def test_the_same_at_random_is_drawn_with_a_fixed_seed() -> None:
    vectors = some_vectors(50)
    assert compare_diversity(vectors, np.arange(10)) == compare_diversity(vectors, np.arange(10))
