"""The Vendi score: the effective number of different items in a set."""

from __future__ import annotations

import numpy as np

_ROWS = 4096


def vendi_score(vectors: np.ndarray) -> float:
    """The Vendi score (Friedman and Dieng, 2023, arXiv 2210.02410, Definition 3.1) of (n, d)
    vectors of unit length: the exponential of the entropy of the eigenvalues of K/n, K the matrix
    of cosine similarities.

    It runs from 1, where all vectors are equal, to n, where all are orthogonal, and is at most d.
    The nonzero eigenvalues of K/n are those of the d by d matrix of second moments.
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
