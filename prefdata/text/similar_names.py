"""The name that was meant by one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.7
"""The least similarity of two names, 1 being equal."""


def suggest_name(wrong: str, known: Iterable[str]) -> str:
    """ " (did you mean 'model'?)" for "modle", or "" where no known name is like it."""
    names = {name.lower(): name for name in known}
    found = difflib.get_close_matches(wrong.lower(), names, n=1, cutoff=_ALIKE)
    return f" (did you mean {names[found[0]]!r}?)" if found else ""
