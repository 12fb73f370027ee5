"""The boundary where rows, which may be anything, meet the code that reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import polars as pl
from polars.exceptions import PolarsError

from prefdata.errors import DropRecord

Read = TypeVar("Read")

_OF_ROW = (
    ArithmeticError,
    AttributeError,
    LookupError,
    PolarsError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a reader raises where a value is not of the type it takes it for; Arrow's are among them."""


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


def make_frames(
    make_frame: Callable[[list[Read]], pl.DataFrame], rows: list[Read]
) -> tuple[list[pl.DataFrame], list[tuple[Read, DropRecord]]]:
    """Make a frame of rows that were read, and more than one where a row fits none.

    Returns:
        The frames in the rows' order, and the rows that fit none, each with the reason.
    """
    try:
        with refuse_unreadable():
            return [make_frame(rows)], []
    except DropRecord as reason:
        if not rows:
            raise
        if len(rows) == 1:
            return [make_frame([])], [(rows[0], reason)]
    half = len(rows) // 2
    halves = [make_frames(make_frame, some) for some in (rows[:half], rows[half:])]
    return [f for frames, _ in halves for f in frames], [
        r for _, refused in halves for r in refused
    ]
