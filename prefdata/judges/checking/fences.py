"""Fenced blocks of JSON in a text."""

from __future__ import annotations

import re

_FENCE = "```"
_OPENING = re.compile(rf"{_FENCE}[ \t]*(?:json[ \t]*)?\n", re.IGNORECASE)


def find_json_blocks(text: str) -> list[str]:
    """What stands in the text's closed fences, marked as JSON or as nothing."""
    blocks = []
    at = 0
    # Step by step, because one pattern for the whole block takes quadratic time on long blanks.
    while opening := _OPENING.search(text, at):
        closing = text.find(_FENCE, opening.end())
        if closing < 0:
            break
        blocks.append(text[opening.end() : closing].rstrip(" \t").removesuffix("\n"))
        at = closing + len(_FENCE)
    return blocks
