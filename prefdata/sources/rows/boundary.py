"""The boundary where rows, which may be anything, meet the code that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefdata.errors import DropRecord

_OF_ROW = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a reader raises where a value is not of the type it takes it for."""


@contextmanager
def refuse_unreadable() -> Iterator[None]:
    """Drop the row that is read within, if its reader meets something in it that no row should
    hold. Raises DropRecord."""
    try:
        yield
    except _OF_ROW as error:
        raise DropRecord(
            "unreadable_row",
            f"holds what no row of its kind should hold ({type(error).__name__}: {error})",
        ) from error
