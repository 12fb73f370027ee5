"""Texts of nearly the same words, among those that fit one process."""

from __future__ import annotations

import numpy as np
import polars as pl

from prefdata.text.minhash import choose_banding, find_candidates, hash_bands, sign_texts
from prefdata.text.shingles import shingles, sketch_similarity, sketches

_BATCH = 20_000
"""The number of candidates that are compared at once."""


def find_similar(texts: pl.Series, min_similarity: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of texts whose word trigrams have at least this Jaccard similarity.

    MinHash with banding finds candidates (minhash.py), the similarity itself decides
    (shingles.py), as in the filter near_duplicates.

    Returns:
        (pairs, 2) the texts' places, the smaller first, and (pairs,) their similarities.
    """
    if not len(texts):
        return np.empty((0, 2), dtype=np.int64), np.empty(0)
    bands, rows = choose_banding(min_similarity)
    grams = shingles(texts)
    hashes = hash_bands(sign_texts(grams, bands * rows), bands, rows).ravel()
    pairs = find_candidates(hashes, np.repeat(np.arange(len(texts)), bands))
    whole = sketches(grams)
    batches = [pairs[first : first + _BATCH] for first in range(0, len(pairs), _BATCH)]
    compared = [sketch_similarity(whole, whole, batch) for batch in batches]
    similarity = np.concatenate([np.empty(0), *compared])
    alike = similarity >= min_similarity
    return pairs[alike], similarity[alike]
