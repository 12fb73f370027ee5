"""The forms of rows: rows of one form have the same fate with every consumer, so each is asked
about one row of each form."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from prefdata.consumers.base import Row

MOST_PLACES = 5
"""The rows of a form whose places are kept."""

_DEPTH = 5
"""Deeper down in a row, the type of a value counts."""
_TRANSCRIPT = re.compile(r"\s*(Human|Assistant):")


@dataclass
class Form:
    """Rows of one form.

    Attributes:
        row: One of them, with the columns that consumers read.
        columns: All columns that the first of them has.
        count: How many there are.
        places: Where the first of them stand.
    """

    row: Row
    columns: frozenset[str]
    count: int = 0
    places: list[str] = field(default_factory=list)


class Forms:
    """The forms of the rows that were added, in the order in which they came.

    Args:
        columns: The columns that consumers read.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self._columns = sorted(columns)
        self._found: dict[Hashable, Form] = {}

    def add(self, row: dict[str, Any], place: str) -> None:
        """Count a row. `place` says where it stands, such as "row 7"."""
        seen = {name: row[name] for name in self._columns if name in row}
        key = describe_form(seen)
        form = self._found.get(key)
        if form is None:
            form = self._found[key] = Form(seen, frozenset(row))
        form.count += 1
        if len(form.places) < MOST_PLACES:
            form.places.append(place)

    def list_forms(self) -> list[Form]:
        """All forms."""
        return list(self._found.values())


def describe_form(row: Row) -> Hashable:
    """What a consumer may go by: columns, types, roles, which texts and numbers are equal, which
    texts are blank or transcripts, and how the texts of two columns begin."""
    seen: dict[Any, int] = {}
    described = tuple((name, _describe(row[name], seen, 1)) for name in sorted(row))
    texts = [value for _, value in sorted(row.items()) if isinstance(value, str)]
    begins = tuple(
        (one[:1] == other[:1], one.startswith(other), other.startswith(one))
        for one, other in combinations(texts, 2)
    )
    return described, begins


def _describe(value: Any, seen: dict[Any, int], depth: int) -> Hashable:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # A number that is none equals nothing, itself neither.
        return "number", -1 if value != value else seen.setdefault(value, len(seen))
    if isinstance(value, str):
        kind = "transcript" if _TRANSCRIPT.match(value) else "text"
        return kind, not value.strip(), seen.setdefault(value, len(seen))
    if depth >= _DEPTH or not isinstance(value, list | dict):
        return type(value).__name__, bool(value)
    if isinstance(value, list):
        return tuple(_describe(each, seen, depth + 1) for each in value)
    # Roles are told apart by name, other texts by what they equal.
    return tuple(
        (key, each if _is_role(key, each) else _describe(each, seen, depth + 1))
        for key, each in sorted(value.items())
    )


def _is_role(key: str, value: Any) -> bool:
    return key in ("role", "from") and isinstance(value, str)
