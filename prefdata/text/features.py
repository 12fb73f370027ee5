"""Surface features of a response: its length, its formatting and its phrasing."""

from __future__ import annotations

import polars as pl

LENGTH = "length"
_PATTERNS = {
    "lists": r"(?m)^\s*(?:[-*•]|\d+[.)])\s",
    "headings": r"(?m)^#{1,6} ",
    "bold": r"\*\*[^*\n]+\*\*",
    "code": r"```|`[^`\n]+`",
    "paragraphs": r"\n\s*\n",
    "questions": r"\?",
    "exclamations": "!",
    "numbers": r"\d+(?:[.,]\d+)*",
    "quotes": r"[\"“”]",
    "hedging": r"(?i)\b(?:may|might|could|perhaps|possibly|likely|probably|seems?|often)\b",
    "refusal": r"(?i)\b(?:i(?:'m| am) (?:sorry|unable|not able)|i can(?:'t|not)|as an ai)\b",
    "first_person": r"\b(?:I|me|my|mine)\b",
    "address": r"(?i)\byou(?:r|rs)?\b",
}
NAMES = (LENGTH, *_PATTERNS, "ends_whole")


def text_features(text: pl.Expr) -> list[pl.Expr]:
    """The features called NAMES: log(1 + characters), log(1 + count) of each mark, and whether the
    text ends where a sentence, list or block can end."""
    counts = [
        text.str.count_matches(pattern).cast(pl.Float64).log1p().alias(name)
        for name, pattern in _PATTERNS.items()
    ]
    length = text.str.len_chars().cast(pl.Float64).log1p().alias(LENGTH)
    whole = text.str.contains(r"[.!?:;)\]}\"'”`*|>]\s*$").cast(pl.Float64).alias("ends_whole")
    return [length, *counts, whole]
