"""MinHash signatures and LSH banding.

Broder's MinHash: the share of equal entries in two signatures estimates the Jaccard similarity of
the texts' word trigrams. Banding (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets,
Section 3.4): texts that agree on a whole band are candidates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import compress

import numpy as np

PERMUTATIONS = 128
BANDS = 32
"""32 bands of 4 rows: a pair of similarity 0.8 meets in a band with p > 0.9999."""

LOOK_BACK = 64
"""In a band that more texts share, each is compared with so many of those before it."""

_RANDOM = np.random.default_rng(1)
# Odd factors, so that multiplying modulo 2**64 permutes. They must be large: with 31-bit ones the
# permutations resemble each other, and the estimate is half again as far off.
_A = _RANDOM.integers(0, 1 << 64, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
_B = _RANDOM.integers(0, 1 << 64, PERMUTATIONS, dtype=np.uint64)


def signature(text: str) -> np.ndarray:
    """PERMUTATIONS values of 64 bits."""
    words = re.findall(r"\w+", text.lower()) or [text]
    shingles = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
    hashes = np.array(
        [
            int.from_bytes(hashlib.blake2b(s.encode(), digest_size=8).digest(), "little")
            for s in shingles
        ],
        dtype=np.uint64,
    )
    values = hashes[:, None] * _A[None, :] + _B[None, :]
    least: np.ndarray = values.min(axis=0)
    return least


def bands(values: np.ndarray) -> list[bytes]:
    """A short digest a band, with the band's number in it."""
    rows = values.reshape(BANDS, -1)
    return [
        hashlib.blake2b(bytes([number]) + row.tobytes(), digest_size=8).digest()
        for number, row in enumerate(rows)
    ]


def groups(signatures: Sequence[np.ndarray], threshold: float) -> list[int]:
    """For each signature the first position of its group of near-duplicates.

    Groups are connected components over the pairs that share a band (LOOK_BACK apart at most) and
    whose estimated similarity reaches the threshold.
    """
    parent = list(range(len(signatures)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    buckets: dict[bytes, list[int]] = {}
    for position, values in enumerate(signatures):
        for band in bands(values):
            buckets.setdefault(band, []).append(position)
    for members in buckets.values():
        if len({root(m) for m in members}) == 1:
            continue
        for place, one in enumerate(members):
            # The nearest first: among many alike it makes one group of both, and saves the rest.
            for back in (1, LOOK_BACK):
                before = members[max(0, place - back) : place]
                others = [m for m in before if root(m) != root(one)]
                if not others:
                    continue
                equal = np.stack([signatures[m] for m in others]) == signatures[one]
                for other in compress(others, equal.mean(axis=1) >= threshold):
                    a, b = root(one), root(other)
                    parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(signatures))]
