"""Content ids: the same content has the same id on every machine and in every run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

ID_BYTES = 16


def digest(parts: Iterable[bytes]) -> str:
    """32 hex characters over the parts and their lengths: ("ab", "c") differs from ("a", "bc")."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()[: 2 * ID_BYTES]


def prompt_id(messages: Iterable[tuple[str, str]], structure: str = "") -> str:
    """The id of a conversation given as (role, content) turns.

    `structure` is the JSON text of its tools and of what its turns hold besides; "" for a plain
    conversation, whose id is that of its turns alone.
    """
    parts = [part for turn in messages for part in turn]
    return digest(part.encode() for part in ([*parts, structure] if structure else parts))


def response_id(prompt: str, text: str, structure: str = "") -> str:
    """The id of an existing response: the content id of the prompt's id and the response.

    `structure` is the JSON text of its thoughts and calls; "" where it has none.
    """
    parts = [prompt, text, structure] if structure else [prompt, text]
    return digest(part.encode() for part in parts)


def fraction(record_id: str) -> float:
    """A number in [0, 1) set by the id, from other bits than those that choose the bucket."""
    return int(record_id[8:16], 16) / 2**32
