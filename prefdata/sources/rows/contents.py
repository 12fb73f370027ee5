"""The content of a message: text, or a list of parts as OpenAI and Anthropic have them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from prefdata.errors import DropRecord
from prefdata.messages.calls import CallFault, make_call
from prefdata.messages.tool_calls import UNREADABLE
from prefdata.sources.rows.conversations import Turn
from prefdata.sources.rows.tools import drop_nulls

_TEXTS = ("text", "input_text", "output_text")
_OTHER_MEDIA = re.compile(r"image|audio|video|document|file|media")
_RESULTS = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)


class Content(NamedTuple):
    """What a message holds, by the kinds of its parts. Results are a tool's turns."""

    text: str
    thoughts: list[str]
    calls: list[dict[str, str | None]]
    results: list[Turn]


def read_content(value: Any, where: str) -> Content:
    """Read a message's content. Texts of several parts stand on lines of their own.

    Args:
        value: Text, or a list of parts.
        where: The message, for errors.

    Raises:
        DropRecord: A part is no text, call or result, such as an image.
    """
    if isinstance(value, str):
        return Content(value, [], [], [])
    if not isinstance(value, list):
        raise DropRecord("wrong_type", f"{where} has content {type(value).__name__}, expected text")
    texts: list[str] = []
    found = Content("", [], [], [])
    for number, part in enumerate(value, 1):
        place = f"{where}, part {number}"
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, dict):
            raise DropRecord("wrong_type", f"{place} is {type(part).__name__}, expected an object")
        kind = part.get("type")
        if kind in _TEXTS:
            texts.append(_take_text(part.get("text"), place))
        elif kind in ("thinking", "reasoning"):
            thought = part.get("thinking", part.get("reasoning", part.get("text")))
            found.thoughts.append(_take_text(thought, place))
        elif kind == "redacted_thinking":
            # Thoughts that only their provider can read.
            continue
        elif kind == "tool_use":
            try:
                call = make_call(part.get("name"), drop_nulls(part.get("input")), part.get("id"))
            except CallFault as fault:
                raise DropRecord(
                    UNREADABLE, f"{place}: a tool call can't be read: {fault}"
                ) from fault
            found.calls.append(call)
        elif kind == "tool_result":
            found.results.append(_read_result(part, place))
        else:
            raise _refuse(kind, place)
    return found._replace(text="\n".join(texts))


def split_results(text: str) -> list[str] | None:
    """The results in a text that is nothing but Hermes' `<tool_response>`s; None: it is not."""
    results = [body.strip() for body in _RESULTS.findall(text)]
    return results if results and not _RESULTS.sub("", text).strip() else None


def _read_result(part: dict[str, Any], place: str) -> Turn:
    value = part.get("content")
    inner = read_content("" if value is None else value, place)
    if inner.calls or inner.results:
        raise DropRecord("wrong_type", f"{place}: a tool_result holds text, this holds tools")
    call_id = part.get("tool_use_id")
    return Turn("tool", inner.text, tool_call_id=call_id if isinstance(call_id, str) else None)


def _take_text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise DropRecord("wrong_type", f"{place} has text {type(value).__name__}, expected text")
    return value


def _refuse(kind: Any, place: str) -> DropRecord:
    if isinstance(kind, str) and _OTHER_MEDIA.search(kind):
        return DropRecord(
            "images_unsupported",
            f"{place} is of the type {kind!r:.40}: prefdata reads text only, no images, audio, "
            "video or files",
            "Leave such rows out, or put what they show into words.",
        )
    known = ", ".join((*_TEXTS, "thinking", "tool_use", "tool_result"))
    return DropRecord("unknown_part", f"{place} is of the type {kind!r:.40}; known: {known}")
