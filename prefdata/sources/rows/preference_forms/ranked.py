"""Rows of two completions, each with its rank or score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefdata.errors import DropRecord
from prefdata.sources.base import NoFault
from prefdata.sources.rows.preference_forms.row import require
from prefdata.sources.rows.values import is_number


def take_ranked(
    row: dict[str, Any], field: str, best: Callable[..., Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the better, the worse) of a row's two `completions`.

    Args:
        row: The row.
        field: The field of each completion's rank or score.
        best: max, where more is better, or min.

    Raises:
        DropRecord: They are not two, or have no numbers.
        NoFault: They are equally good.
    """
    value = require(row, "completions")
    listed = value if isinstance(value, list) else []
    if len(listed) != 2 or not all(isinstance(each, dict) for each in listed):
        raise DropRecord("wrong_number", "completions: expected a list of two objects")
    places = [each.get(field) for each in listed]
    if not all(is_number(place) for place in places):
        raise DropRecord("missing_field", f"completions: {field} is {places!r:.60}")
    if places[0] == places[1]:
        raise NoFault("tie", f"both completions have the {field} {places[0]:g}")
    better = places.index(best(places))
    return listed[better], listed[1 - better]
