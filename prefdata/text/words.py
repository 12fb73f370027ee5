"""The words of a text: the one definition by which texts are compared."""

from __future__ import annotations

import polars as pl

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_UNSPACED}]|[\w--{_UNSPACED}]+"


def split_words(texts: pl.Series) -> pl.Series:
    """The words of each text, as a list: runs of letters and digits, in lower case. In scripts
    without spaces every letter is a word."""
    return texts.str.to_lowercase().str.extract_all(_WORD)
