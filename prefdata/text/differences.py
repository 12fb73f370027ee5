"""The words in which two texts differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

Marked = list[tuple[str, bool]]
"""A text in pieces, each with whether the other text lacks it."""

# White space goes with what stands before it: alone it would match everywhere.
_PIECE = re.compile(r"(?:\w+|[^\w\s])\s*|\s+")
_MOST = 4_000
"""Pieces of a text that are compared: the time grows with the square of their number."""


def mark_differences(one: str, other: str) -> tuple[Marked, Marked]:
    """Both texts with the words marked that stand in one alone.

    >>> mark_differences("a big dog", "a dog")
    ([('a ', False), ('big ', True), ('dog', False)], [('a dog', False)])
    """
    a, b = (_PIECE.findall(text) for text in (one, other))
    marked: tuple[Marked, Marked] = ([], [])
    for tag, *places in SequenceMatcher(None, a[:_MOST], b[:_MOST]).get_opcodes():
        for own, pieces, (first, last) in zip(
            marked, (a, b), (places[:2], places[2:]), strict=True
        ):
            _append(own, "".join(pieces[first:last]), tag != "equal")
    for own, pieces in zip(marked, (a, b), strict=True):
        # What was not compared is not marked.
        _append(own, "".join(pieces[_MOST:]), False)
    return marked


def _append(marked: Marked, text: str, differs: bool) -> None:
    if not text:
        return
    if marked and marked[-1][1] == differs:
        marked[-1] = (marked[-1][0] + text, differs)
    else:
        marked.append((text, differs))
