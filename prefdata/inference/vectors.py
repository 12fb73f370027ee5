"""Vectors that an engine returned, as matrices."""

from __future__ import annotations

import numpy as np
import polars as pl


def matrix(vectors: pl.Series) -> np.ndarray:
    """A column of n lists of length d as an (n, d) float64 matrix; (0, 0) if there are no rows."""
    if not len(vectors):
        return np.zeros((0, 0))
    return vectors.explode().to_numpy().astype(np.float64).reshape(len(vectors), -1)
