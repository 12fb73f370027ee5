"""The boundary where rows, which may be anything, meet the code that reads them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
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


class Boundary(AbstractContextManager[None]):
    """See `refuse_unreadable`. No generator, of which one for each row would take longer."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _OF_ROW):
            raise DropRecord(
                "unreadable_row",
                f"holds what no row of its kind should hold ({type(error).__name__}: {error})",
            ) from error


_BOUNDARY = Boundary()


def refuse_unreadable() -> Boundary:
    """Drop the row that is read within, if its reader meets something in it that no row should
    hold. Raises DropRecord."""
    return _BOUNDARY


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
