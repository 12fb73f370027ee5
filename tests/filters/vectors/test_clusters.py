"""Spherical k-means."""

from __future__ import annotations

import numpy as np
import pytest
from filters.embeddings import some_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.filters.vectors.clusters import find_centres, rank_centres


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 99))
def test_k_means_gives_every_vector_its_closest_centre(n: int, count: int, seed: int) -> None:
    vectors = some_vectors(n, seed)
    found = find_centres(vectors, min(count, n))
    assert found.shape == (min(count, n), 12)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(found)))
    order = rank_centres(vectors, found, 2)
    likeness = vectors @ found.T
    assert np.array_equal(order[:, 0], likeness.argmax(axis=1))
    if len(found) > 1:
        second = np.sort(likeness, axis=1)[:, -2]
        assert likeness[np.arange(n), order[:, 1]] == pytest.approx(second)
