"""Word trigrams as 64-bit hashes, for thousands of texts at once, and their Jaccard similarity.

Words are runs of letters and digits, case folded; in scripts written without spaces every letter
is a word. A text of fewer than three words has one shingle, of what it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD = rf"[{_UNSPACED}]|[\w--{_UNSPACED}]+"
"""A word, as a regular expression of polars."""

LENGTH = 3
"""Words a shingle."""

SKETCH = 1024
"""Of a longer text's shingles so many of the least hashes stand for all (bottom-k sketch)."""

# Odd factors: multiplying by them modulo 2**64 loses nothing.
_PLACES = np.random.default_rng(7).integers(0, 1 << 64, 64, dtype=np.uint64) | np.uint64(1)


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row i is values[starts[i]:starts[i + 1]]."""

    values: np.ndarray
    starts: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The length of each row."""
        return np.diff(self.starts)


def shingles(texts: pl.Series) -> Ragged:
    """The hashes of each text's trigrams in the text's order, repeats and all; at least one."""
    # A text without a word is itself the word, or all of them would be one text.
    words = (
        pl.DataFrame({"text": texts})
        .lazy()
        .select(text=pl.col("text").str.to_lowercase())
        .select("text", words=pl.col("text").str.extract_all(WORD))
        .select(
            pl.when(pl.col("words").list.len() > 0)
            .then("words")
            .otherwise(pl.concat_list("text"))
            .alias("words")
        )
        .collect()["words"]
    )
    return rolling(words, LENGTH)


def rolling(words: pl.Series, length: int) -> Ragged:
    """The hashes of every run of `length` words in each row's list of words, in order.

    A row of fewer words has one hash, of what it has; one without words has none.
    """
    counts = words.list.len().to_numpy().astype(np.int64)
    ends = np.cumsum(counts)
    hashes = words.explode(empty_as_null=False).hash(1).to_numpy()
    left = np.repeat(ends, counts) - np.arange(len(hashes))
    grams = hashes * _PLACES[0]
    for place in range(1, length):
        follow = np.zeros_like(hashes)
        follow[:-place] = hashes[place:] * _PLACES[place]
        grams += np.where(left > place, follow, np.uint64(0))
    keep = left >= length
    keep[(ends - counts)[counts > 0]] = True
    runs = np.where(counts > 0, np.maximum(counts - length + 1, 1), 0)
    starts = np.concatenate([[0], np.cumsum(runs)])
    return Ragged(mixed(grams[keep]), starts.astype(np.int64))


def mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of the result depends on every bit of the value (the finalizer of MurmurHash3)."""
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


def distinct_counts(grams: Ragged) -> np.ndarray:
    """How many different hashes each row has."""
    return np.bincount(_distinct(grams)[1], minlength=len(grams.lengths))


def sketches(grams: Ragged) -> Ragged:
    """The SKETCH least distinct hashes of each row, ascending; all of them where there are fewer.

    Broder's bottom-k sketch.
    """
    values, rows = _distinct(grams)
    kept = _rank(rows) < SKETCH
    counts = np.bincount(rows[kept], minlength=len(grams.lengths))
    return Ragged(values[kept], np.concatenate([[0], np.cumsum(counts)]))


def jaccard(left: Ragged, right: Ragged, pairs: np.ndarray) -> np.ndarray:
    """Jaccard similarity of rows pairs[:, 0] of `left` and pairs[:, 1] of `right`, sketches both.

    Exact where both texts have fewer than SKETCH distinct shingles, else estimated from the SKETCH
    least of their union: unbiased, with a standard deviation of at most 0.016.
    """
    count = len(pairs)
    one, other = _gather(left, pairs[:, 0]), _gather(right, pairs[:, 1])
    values = np.concatenate([one.values, other.values])
    index = np.arange(count)
    rows = np.concatenate([np.repeat(index, one.lengths), np.repeat(index, other.lengths)])
    order = np.lexsort((values, rows))
    values, rows = values[order], rows[order]
    # A value that both hold stands twice in a row; it is counted at its first place.
    again = np.zeros(len(values), dtype=bool)
    again[1:] = (values[1:] == values[:-1]) & (rows[1:] == rows[:-1])
    shared = np.zeros(len(values), dtype=bool)
    shared[:-1] = again[1:]
    values, rows, shared = values[~again], rows[~again], shared[~again]
    whole = (one.lengths < SKETCH) & (other.lengths < SKETCH)
    used = whole[rows] | (_rank(rows) < SKETCH)
    both = np.bincount(rows[shared & used], minlength=count)
    return both / np.bincount(rows[used], minlength=count)


def _distinct(grams: Ragged) -> tuple[np.ndarray, np.ndarray]:
    """(hash, row) of all different ones, by row and then hash."""
    rows = np.repeat(np.arange(len(grams.lengths)), grams.lengths)
    order = np.lexsort((grams.values, rows))
    values, rows = grams.values[order], rows[order]
    first = np.ones(len(values), dtype=bool)
    first[1:] = (values[1:] != values[:-1]) | (rows[1:] != rows[:-1])
    return values[first], rows[first]


def _rank(rows: np.ndarray) -> np.ndarray:
    """The position of each entry within its row, `rows` ascending."""
    index = np.arange(len(rows))
    new = np.ones(len(rows), dtype=bool)
    new[1:] = rows[1:] != rows[:-1]
    return index - np.maximum.accumulate(np.where(new, index, 0))


def _gather(ragged: Ragged, rows: np.ndarray) -> Ragged:
    """The named rows, one after the other."""
    lengths = ragged.lengths[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    index = np.arange(starts[-1]) + np.repeat(ragged.starts[rows] - starts[:-1], lengths)
    return Ragged(ragged.values[index], starts)
