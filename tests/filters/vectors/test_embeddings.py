"""Embeddings as filters carry them."""

from __future__ import annotations

import numpy as np

from prefdata.filters.vectors.embeddings import normalize, pack_vectors, unpack_vectors


def test_vectors_survive_their_packing() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(50, 384)).astype(np.float32) * 7
    back = unpack_vectors(pack_vectors(vectors))
    plain = normalize(vectors)
    assert np.abs(back @ back.T - plain @ plain.T).max() < 1e-3
    assert np.abs(np.linalg.norm(back, axis=1) - 1).max() < 1e-6
    assert unpack_vectors(pack_vectors(np.zeros((2, 3), np.float32))).tolist() == [[0, 0, 0]] * 2
    assert unpack_vectors(pack_vectors(np.zeros((0, 3)))).shape == (0, 0)
