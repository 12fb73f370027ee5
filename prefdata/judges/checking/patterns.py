"""Regular expressions in a judge's settings, checked before any work.

They are those of Rust's regex crate: they have no look-around, and matching takes time linear in
the text, whoever wrote it.
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
from pydantic import AfterValidator


def check_pattern(pattern: str) -> str:
    """The pattern. Raises ValueError where it is none."""
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(check_pattern)]
