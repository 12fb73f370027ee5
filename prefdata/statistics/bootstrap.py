"""The bootstrap over clusters: how far a share varies when whole prompts are resampled."""

from __future__ import annotations

import numpy as np

DRAWS = 2000


def resample_shares(hits: np.ndarray, cluster: np.ndarray, clusters: int) -> np.ndarray:
    """The mean of `hits` in each of DRAWS resamples of whole clusters, (n,) and (n,) -> (DRAWS,).

    The draws depend on the number of clusters alone, so shares of two subsets can be compared draw
    by draw.

    Args:
        hits: Values such as 0 and 1, (n,).
        cluster: The cluster of each value, whole numbers from 0, (n,).
        clusters: How many clusters there are to draw from.
    """
    total = np.bincount(cluster, minlength=clusters)
    sums = np.bincount(cluster, weights=hits, minlength=clusters)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(clusters, np.full(clusters, 1 / clusters), DRAWS)
    return (draws @ sums) / np.maximum(draws @ total, 1)
