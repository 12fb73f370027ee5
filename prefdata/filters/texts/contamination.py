"""Contamination: pairs that share a run of words with an evaluation set, given as files.

Texts are normalised (Unicode NFKC, case folded, words alone), and a pair goes where one of its
texts has `n` words in a row that an evaluation text has too, as GPT-3's evaluation did with 13
(Brown et al., 2020, arXiv 2005.14165, Appendix C). An evaluation text of fewer words has to occur
whole, if it has `min_words`; a shorter one is left out, or common phrases would match.
"""

from __future__ import annotations

import gzip
import io
from typing import Any, Literal

import numpy as np
import orjson
import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.filters.base import Texts
from prefdata.filters.texts.base import FlawConfig, Flaws, Part
from prefdata.text.shingles import WORD, rolling


class ContaminationConfig(FlawConfig):
    kind: Literal["contamination"] = "contamination"
    of: list[Part] = Field(["prompt", "chosen", "rejected"], min_length=1)
    files: list[str] = Field(
        min_length=1, description="JSONL (.gz too), Parquet, or plain text, a text a line."
    )
    columns: list[str] = Field([], description="Which to read; none: every text there is.")
    n: int = Field(13, ge=3, le=64, description="So many words in a row are a match.")
    min_words: int = Field(6, ge=2, description="Shorter evaluation texts are left out.")


class Contamination(Flaws):
    """See the module."""

    code = "contaminated"
    config: ContaminationConfig

    def setup(self) -> None:
        self.known = _known(self.config)

    def flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        words = normal_words(rows["text"])
        first = np.full(rows.height, -1, dtype=np.int64)
        length = np.zeros(rows.height, dtype=np.int64)
        source = np.zeros(rows.height, dtype=np.int64)
        for size, (hashes, files) in self.known.items():
            grams = rolling(words, size)
            at = np.searchsorted(hashes, grams.values)
            hit = hashes[np.minimum(at, len(hashes) - 1)] == grams.values
            owner = np.repeat(np.arange(rows.height), grams.lengths)
            # The longest match counts, and of equally long ones the first: sizes come descending.
            places, index = np.unique(owner[hit], return_index=True)
            new = first[places] < 0
            places, index = places[new], np.flatnonzero(hit)[index[new]]
            first[places] = index - grams.starts[places]
            length[places] = size
            source[places] = files[at[index]]
        found = pl.DataFrame({"words": words, "first": np.maximum(first, 0), "length": length})
        spans = found.select(pl.col("words").list.slice("first", "length"))["words"]
        names = pl.Series(self.config.files).gather(source)
        says = pl.format('{} words as in {}: "{}"', pl.Series(length), names, spans.list.join(" "))
        return pl.select(pl.when(pl.Series(first >= 0)).then(says)).to_series()


def normal_words(texts: pl.Series) -> pl.Series:
    """The words of each text as they are compared."""
    return texts.str.normalize("NFKC").str.to_lowercase().str.extract_all(WORD)


def _known(config: ContaminationConfig) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Length of a run -> (its sorted hashes in all files, the file of each), longest first."""
    n, min_words = config.n, config.min_words
    runs: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for number, path in enumerate(config.files):
        words = normal_words(pl.Series(_read(path, config.columns), dtype=pl.String))
        counts = words.list.len()
        for size in sorted({n, *range(min_words, n)}, reverse=True):
            some = words.filter(counts >= n if size == n else counts == size)
            if len(some):
                hashes = np.unique(rolling(some, size).values)
                runs.setdefault(size, []).append((hashes, np.full(len(hashes), number)))
    known = {}
    for size in sorted(runs, reverse=True):
        hashes = np.concatenate([h for h, _ in runs[size]])
        owners = np.concatenate([o for _, o in runs[size]])
        # Of a run that several files have the first file is named.
        hashes, first = np.unique(hashes, return_index=True)
        known[size] = (hashes, owners[first])
    return known


def _read(path: str, columns: list[str]) -> list[str]:
    """The texts of an evaluation file."""
    content = storage.read_bytes(path)
    if content is None:
        raise ConfigError(f"{path}: no such file", "Correct `files` of the filter contamination.")
    try:
        if path.endswith(".parquet"):
            rows: list[Any] = pl.read_parquet(io.BytesIO(content)).to_dicts()
        else:
            content = gzip.decompress(content) if path.endswith(".gz") else content
            lines = [line for line in content.splitlines() if line.strip()]
            rows = [
                orjson.loads(line) if ".json" in path else line.decode("utf-8") for line in lines
            ]
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise ConfigError(
            f"{path}: can't be read as an evaluation set: {error}",
            "JSONL (.gz too), Parquet or plain text was expected in `files` of contamination.",
        ) from error
    if columns:
        rows = [[row[c] for c in columns if c in row] for row in rows if isinstance(row, dict)]
    found = [text for row in rows for text in _texts(row)]
    if not found:
        raise ConfigError(
            f"{path}: no text in it" + (f" under {', '.join(columns)}" if columns else ""),
            "Correct `files` or `columns` of the filter contamination.",
        )
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
