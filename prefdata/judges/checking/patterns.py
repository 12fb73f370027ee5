"""Regular expressions of a judge's settings, checked before any work, and of ground truths.

The syntax is that of Rust's regex crate: it has no look-around, and matching takes time linear in
the length of the text, so a hostile text can't stall it.
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
from pydantic import AfterValidator

from prefdata.judges.checking.bounded import Checked


def check_pattern(pattern: str) -> str:
    """Return the pattern. Raises ValueError if it is not a regular expression."""
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(check_pattern)]


def match_pattern(pattern: str, text: str, before: str, after: str) -> Checked:
    """Search the text for a ground truth's pattern, between what anchors it."""
    matched = pl.Series([text]).str.contains(before + pattern + after, strict=False).item()
    if matched is None:
        return None, f"bad_pattern: the ground truth {pattern} is no regular expression", None
    return float(matched), None, f"{'matches' if matched else 'does not match'} {pattern}"
