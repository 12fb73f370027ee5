"""Conversations: messages in any common form as (role, content) turns, normalised and checked."""

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


def encode_structure(turns: Sequence[Turn], tools: str | None = None) -> str:
    """The tools and what the turns hold besides role and content, as JSON text with sorted keys;
    "" where there is nothing. It is part of a prompt's id."""
    held = {
        str(number): {n: getattr(turn, n) for n in STRUCTURE if getattr(turn, n) is not None}
        for number, turn in enumerate(turns)
        if turn[2:] != (None, None, None, None)
    }
    if not held and tools is None:
        return ""
    content = {"tools": tools, "turns": held}
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()


_ROLES = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "human": "user",
    "gpt": "assistant",
    "prompter": "user",
}
"""The names that other datasets use for the same three roles."""


def clean_conversation(turns: list[Turn], max_chars: int) -> list[Turn]:
    """Normalise the turns and check that they make a prompt.

    Args:
        turns: The turns of the row.
        max_chars: The most characters over all turns.

    Raises:
        DropRecord: They are too long, or no chat template could render them as a prompt.
    """
    # Checked before normalising, which takes quadratic time on a long run of combining marks.
    size = sum(len(turn.content) for turn in turns)
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


def check_prompt(turns: list[Turn]) -> None:
    """Check that a chat template could render the turns as a prompt. Raises DropRecord if not."""
    if not turns:
        raise DropRecord("empty_conversation", "found no message")
    for number, (role, content, *_) in enumerate(turns, 1):
        where = f"message {number} ({role})"
        if not content:
            raise DropRecord("empty_message", f"{where} holds no text")
        if "\0" in content:
            raise DropRecord("nul_character", f"{where} holds a NUL character")
        check_encodable(content, where)
    spoken = turns[1:] if turns[0][0] == "system" else turns
    for number, (role, *_) in enumerate(spoken):
        expected = ("user", "assistant")[number % 2]
        if role != expected:
            raise DropRecord(
                "roles_out_of_turn",
                f"message {number + 1 + len(turns) - len(spoken)} is {role}, expected {expected}",
            )
    if not spoken or spoken[-1][0] != "user":
        raise DropRecord(
            "ends_without_user", "a prompt ends with a user message, this one does not"
        )


def read_text(value: Any, field: str) -> str:
    """The text of a response. Raises DropRecord if it is not text, or blank."""
    if not isinstance(value, str):
        raise DropRecord("wrong_type", f"{field} is {type(value).__name__}, expected text")
    if not value.strip():
        raise DropRecord("empty_response", f"{field} holds no text")
    return check_encodable(value, field)


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


def read_messages(value: Any, field: str) -> list[Turn]:
    """The (role, content) turns of a list of messages, roles renamed. Raises DropRecord."""
    if not isinstance(value, list):
        raise DropRecord(
            "wrong_type", f"{field} is {type(value).__name__}, expected text or a list of messages"
        )
    turns = []
    for number, message in enumerate(value, 1):
        if not isinstance(message, dict):
            raise DropRecord("wrong_type", f"{field}, message {number} is no object")
        role = message.get("role", message.get("from"))
        content = message.get("content", message.get("value"))
        if not isinstance(role, str) or role not in _ROLES:
            raise DropRecord(
                "unknown_role",
                f"{field}, message {number} has role {role!r}; known: {', '.join(_ROLES)}",
            )
        if not isinstance(content, str):
            raise DropRecord(
                "wrong_type",
                f"{field}, message {number} has content {type(content).__name__}, expected text",
            )
        turns.append(Turn(_ROLES[role], content))
    return turns
