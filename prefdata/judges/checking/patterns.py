"""Regular expressions in a judge's settings, checked before any work.

The syntax is that of Rust's regex crate: it has no look-around, and matching takes time linear in
the length of the text, so a hostile text can't stall it.
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
from pydantic import AfterValidator


def check_pattern(pattern: str) -> str:
    """Return the pattern. Raises ValueError if it is not a regular expression."""
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(check_pattern)]
