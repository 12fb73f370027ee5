"""Conversations as turns, normalised and checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from prefdata.errors import DropRecord
from prefdata.records.message import STRUCTURE


class Turn(NamedTuple):
    """One turn, in the fields of `Message`; most turns are a role and content alone."""

    role: str
    content: str
    thoughts: str | None = None
    tool_calls: Sequence[Mapping[str, str | None]] | None = None
    """In the columns of `ToolCall`."""
    tool_call_id: str | None = None
    name: str | None = None


_NOTHING_BESIDE = (None, None, None, None)
"""What stands behind role and content in most turns."""


def encode_structure(turns: Sequence[Turn], tools: str | None = None) -> str:
    """The tools and what the turns hold besides role and content, as JSON text with sorted keys;
    "" where there is nothing. It is part of a prompt's id."""
    held = {
        str(number): {n: getattr(turn, n) for n in STRUCTURE if getattr(turn, n) is not None}
        for number, turn in enumerate(turns)
        if turn[2:] != _NOTHING_BESIDE
    }
    if not held and tools is None:
        return ""
    content = {"tools": tools, "turns": held}
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()


_FOLLOWS = {
    None: ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("tool", "assistant", "user"),
}
"""The roles that may follow a role; None: at the start, or behind the system turn."""


def clean_conversation(
    turns: Sequence[Turn], max_chars: int, tools: str | None = None
) -> list[Turn]:
    """Normalise the turns and check that they make a prompt.

    Args:
        turns: The turns of the row.
        max_chars: The most characters over all turns, with their thoughts and calls, and the tools.
        tools: The row's tools.

    Raises:
        DropRecord: They are too long, or no chat template could render them as a prompt.
    """
    # Checked before normalising, which takes quadratic time on a long run of combining marks.
    size = len(tools or "") + sum(len(text) for turn in turns for text in _list_texts(turn))
    if size > max_chars:
        raise DropRecord(
            "too_long",
            f"{size} characters, max_prompt_chars is {max_chars}",
            "Raise ingest.max_prompt_chars if the model takes it.",
        )
    normal = [turn._replace(content=normalize(turn.content)) for turn in turns]
    check_prompt(normal)
    return normal


def normalize(text: str) -> str:
    r"""Normalise to NFC and `\n`, without blanks at the ends: "Hi\r\n" and "Hi" are one prompt."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def read_ground_truth(value: Any, field: str) -> str | None:
    """The ground truth of a row: text as it is, anything else as JSON."""
    if value is None:
        return None
    try:
        # Sorted keys: the same value gives the same text from a Parquet and a JSONL file.
        text = (
            value
            if isinstance(value, str)
            else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        )
        text.encode()
    except (TypeError, UnicodeEncodeError) as error:
        raise DropRecord(
            "wrong_type", f"{field}: {error}; expected text or what JSON can say"
        ) from error
    return text


def check_prompt(turns: Sequence[Turn]) -> None:
    """Check that a chat template could render the turns as a prompt. Raises DropRecord if not."""
    if not turns:
        raise DropRecord("empty_conversation", "found no message")
    for number, turn in enumerate(turns, 1):
        # A tool may return nothing.
        if not turn.content and not turn.tool_calls and turn.role != "tool":
            raise DropRecord("empty_message", f"{_name_turn(turn, number)} holds no text")
        for text in _list_texts(turn):
            if "\0" in text:
                where = _name_turn(turn, number)
                raise DropRecord("nul_character", f"{where} holds a NUL character")
            if not text.isascii():
                check_encodable(text, _name_turn(turn, number))
    _check_calls(turns)
    spoken = turns[1:] if turns[0].role == "system" else turns
    before = None
    for number, turn in enumerate(spoken, 1 + len(turns) - len(spoken)):
        expected = _FOLLOWS[before]
        if turn.role not in expected:
            raise DropRecord(
                "roles_out_of_turn",
                f"message {number} is {turn.role}, expected {' or '.join(expected)}",
            )
        before = turn.role
    if before not in ("user", "tool"):
        raise DropRecord(
            "ends_without_user",
            "a prompt ends with a user's message or a tool's result, this one does not",
        )


def _name_turn(turn: Turn, number: int) -> str:
    return f"message {number} ({turn.role})"


def _check_calls(turns: Sequence[Turn]) -> None:
    """Check that every call has its result right behind its turn, and every result its call.

    Results without ids answer calls without ids in their order; one of them may stand for the
    results of several calls, as in ShareGPT's form.
    """
    if not any(turn.tool_calls or turn.role == "tool" for turn in turns):
        return
    seen: set[str] = set()
    waiting: list[str | None] = []
    results = 0
    for number, turn in enumerate(turns, 1):
        where = _name_turn(turn, number)
        if turn.role == "tool":
            if turn.tool_call_id not in waiting:
                named = "without an id" if turn.tool_call_id is None else repr(turn.tool_call_id)
                raise DropRecord(
                    "result_without_call",
                    f"{where} is the result of a call {named}, which the turn before did not make",
                )
            waiting.remove(turn.tool_call_id)
            results += 1
            continue
        if waiting and (results == 0 or any(call_id is not None for call_id in waiting)):
            raise _lack_result(where, waiting)
        ids = [call["id"] for call in turn.tool_calls or ()]
        for call_id in ids:
            if call_id in seen:
                raise DropRecord(
                    "repeated_call_id", f"{where} calls with the id {call_id!r}, which is taken"
                )
            if call_id is not None:
                seen.add(call_id)
        waiting, results = (ids if number < len(turns) else []), 0
    if any(call_id is not None for call_id in waiting):
        raise _lack_result("the end", waiting)


def _lack_result(where: str, waiting: Sequence[str | None]) -> DropRecord:
    named = ", ".join(repr(call_id) for call_id in waiting if call_id is not None)
    return DropRecord(
        "call_without_result",
        f"{len(waiting)} calls{f' ({named})' if named else ''} have no result before {where}",
    )


def check_response(turn: Turn, field: str) -> Turn:
    """The turn of a response. Raises DropRecord if it says and calls nothing, or is no text."""
    if not turn.content.strip() and not turn.tool_calls:
        raise DropRecord("empty_response", f"{field} holds no text")
    for text in _list_texts(turn):
        check_encodable(text, field)
    return turn


def _list_texts(turn: Turn) -> list[str]:
    """All that a turn says, calls and returns."""
    if turn[2:] == _NOTHING_BESIDE:
        return [turn.content]
    calls = [text for call in turn.tool_calls or () for text in call.values()]
    held = [turn.content, turn.thoughts, turn.tool_call_id, turn.name, *calls]
    return [text for text in held if text is not None]


def read_text(value: Any, field: str) -> str:
    """The text of a response or a system prompt. Raises DropRecord if it is not text, or blank."""
    if not isinstance(value, str):
        raise DropRecord("wrong_type", f"{field} is {type(value).__name__}, expected text")
    if not value.strip():
        raise DropRecord("empty_response", f"{field} holds no text")
    return check_encodable(value, field)


def read_optional_text(value: Any) -> str | None:
    """A text beside the responses, such as a model's name; None where there is none. Raises
    DropRecord if it can't be encoded."""
    return check_encodable(value, "a text") if isinstance(value, str) and value else None


def check_encodable(text: str, where: str) -> str:
    """Return the text. Raises DropRecord if it can't be encoded as UTF-8."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DropRecord(
                "invalid_unicode", f"{where} holds a lone surrogate at {error.start}"
            ) from error
    return text
