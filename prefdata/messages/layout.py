"""Where thoughts and response stand in an assistant's message as a chat template rendered it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefdata.messages.marks import KNOWN, match_any

DROPPED = (
    "the chat template drops the thoughts or moves them, and so would a trainer: set completion: "
    "without_thoughts, or put a chat_template.jinja that keeps them beside the model"
)
NO_THOUGHTS = "the response has no thoughts: ask with completion: all or response"
_CLOSE = re.compile(
    rf"\s*{match_any([close for marks in KNOWN.values() for close in marks.close])}?\s*"
)


class Refused(Exception):
    """The rendered message lacks what it was made of."""


@dataclass(frozen=True)
class Layout:
    """Positions in a rendered text: where the response after the thoughts begins (calls included),
    and where what the model wrote ends, without the end of its turn."""

    response: int
    end: int


def find_layout(text: str, offset: int, message: Mapping[str, Any], end_of_turn: str) -> Layout:
    """Find the parts of an assistant's message in a rendered conversation that ends with it.

    Args:
        text: The rendered conversation.
        offset: Where the message begins in it, or the first text that differs from the prompt.
        message: The fields of `Message`.
        end_of_turn: The text of the end-of-turn token.

    Raises:
        Refused: The thoughts or the calls are not there, or not before the content.
    """
    thoughts, content = (message["thoughts"] or "").strip(), message["content"]
    calls = message["tool_calls"] or []
    begin = offset
    if thoughts:
        begin = text.find(thoughts, offset)
        if begin < 0:
            raise Refused(DROPPED)
        begin += len(thoughts)
    written = content.strip()
    response = text.find(written, begin)
    if response < 0:
        raise Refused(
            DROPPED if thoughts else "the chat template changes the response's text: use its own"
        )
    if not written:
        closed = _CLOSE.match(text, begin) if message["thoughts"] is not None else None
        response = closed.end() if closed else begin
    end = response + len(written)
    trailing = content[len(content.rstrip()) :]
    end += len(trailing) if written and text.startswith(trailing, end) else 0
    for call in calls:
        if text.find(call["name"], begin) < 0:
            raise Refused("the chat template drops the tool calls: use a model that takes tools")
    if calls:
        last = text.rfind(end_of_turn) if end_of_turn else -1
        end = last if last >= end else len(text)
    return Layout(response, end)
