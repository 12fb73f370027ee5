"""Contamination with evaluation sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError, SourceError
from prefdata.files.rows import guess_format, read_values
from prefdata.filters.base import Texts
from prefdata.filters.subjects import Subject
from prefdata.filters.texts.base import TextFilter, TextFilterConfig
from prefdata.parts.inputs import InputPath
from prefdata.parts.numbers import Whole
from prefdata.text.shingles import hash_runs
from prefdata.text.words import split_words

Runs = dict[int, tuple[np.ndarray, np.ndarray]]
"""Words in a run -> (sorted hashes of the runs in all files, the file of each), longest first."""


class ContaminationConfig(TextFilterConfig):
    kind: Literal["contamination"] = "contamination"
    of: list[Subject] = Field(
        ["prompt", "chosen", "rejected"],
        min_length=1,
        description="The texts to examine.",
        examples=[["rejected"]],
    )
    files: list[InputPath] = Field(
        min_length=1,
        description="Evaluation sets: JSONL, JSON, CSV, Parquet, or plain text, one text per line; "
        "compressed too.",
        examples=[["README.md"]],
    )
    columns: list[str] = Field(
        [], description="Columns to read; none: all texts.", examples=[["prompt"]]
    )
    n: Whole = Field(13, ge=3, le=64, description="Words in a row that make a match.", examples=[9])
    min_words: Whole = Field(
        6,
        ge=2,
        le=10_000,
        description="Shorter evaluation texts are left out.",
        examples=[9],
    )

    example: ClassVar[Mapping[str, Any]] = {"files": ["demo/data/prompts.jsonl"]}


class Contamination(TextFilter):
    """Drops pairs that share a run of words with an evaluation set.

    Texts are compared in Unicode NFKC and by their words alone. A match is a run of `n` words that
    an evaluation text has too, as GPT-3's evaluation matched runs of 13 (Brown et al., 2020, arXiv
    2005.14165, Appendix C). An evaluation text of fewer words has to occur whole, if it has
    `min_words`; a shorter one is left out, or common phrases would match.
    """

    code = "contaminated"
    config: ContaminationConfig

    def setup(self) -> None:
        self.runs = _read_runs(self.config, self.where)

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        words = _split(rows["text"])
        first = np.full(rows.height, -1, dtype=np.int64)
        length = np.zeros(rows.height, dtype=np.int64)
        source = np.zeros(rows.height, dtype=np.int64)
        for size, (hashes, files) in self.runs.items():
            grams = hash_runs(words, size)
            at = np.searchsorted(hashes, grams.values)
            hit = hashes[np.minimum(at, len(hashes) - 1)] == grams.values
            owner = np.repeat(np.arange(rows.height), grams.lengths)
            # The longest match is named, and of equally long ones the first: sizes are descending.
            matched, index = np.unique(owner[hit], return_index=True)
            new = first[matched] < 0
            matched, index = matched[new], np.flatnonzero(hit)[index[new]]
            first[matched] = index - grams.starts[matched]
            length[matched] = size
            source[matched] = files[at[index]]
        matches = pl.DataFrame({"words": words, "first": np.maximum(first, 0), "length": length})
        spans = matches.select(pl.col("words").list.slice("first", "length"))["words"]
        names = pl.Series(self.config.files).gather(source)
        flaws = pl.format('{} words as in {}: "{}"', pl.Series(length), names, spans.list.join(" "))
        return pl.select(pl.when(pl.Series(first >= 0)).then(flaws)).to_series()


def _split(texts: pl.Series) -> pl.Series:
    return split_words(texts.str.normalize("NFKC"))


def _read_runs(config: ContaminationConfig, where: str) -> Runs:
    n, min_words = config.n, config.min_words
    hashed: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for number, path in enumerate(config.files):
        words = _split(pl.Series(_read_texts(path, config.columns, where), dtype=pl.String))
        counts = words.list.len()
        for size in sorted({n, *range(min_words, n)}, reverse=True):
            matchable = words.filter(counts >= n if size == n else counts == size)
            if len(matchable):
                hashes = np.unique(hash_runs(matchable, size).values)
                hashed.setdefault(size, []).append((hashes, np.full(len(hashes), number)))
    runs = {}
    for size in sorted(hashed, reverse=True):
        hashes = np.concatenate([h for h, _ in hashed[size]])
        owners = np.concatenate([o for _, o in hashed[size]])
        # A run that several files contain is attributed to the first.
        hashes, first = np.unique(hashes, return_index=True)
        runs[size] = (hashes, owners[first])
    return runs


def _read_texts(path: str, columns: list[str], where: str) -> list[str]:
    """The texts of an evaluation file."""
    file_format = guess_format(path) or "text"
    try:
        rows = list(read_values(path, file_format, columns or None))
    except SourceError as error:
        raise ConfigError(
            f"{where}.files: {error.problem}",
            error.remedy or "JSONL, JSON, CSV, Parquet or plain text was expected.",
        ) from error
    if columns:
        rows = [[row[c] for c in columns if c in row] for row in rows if isinstance(row, dict)]
    texts = [text for row in rows for text in _collect_texts(row)]
    if not texts:
        under = f" under {', '.join(columns)}" if columns else ""
        raise ConfigError(
            f"{where}.files: {path}: no text in it{under}",
            f"Correct {where}.files or {where}.columns.",
        )
    return texts


def _collect_texts(value: Any) -> list[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for item in value for t in _collect_texts(item)] if isinstance(value, list) else []
