"""Conversations: messages of any dialect as (role, content) turns, normalised and checked."""

from __future__ import annotations

import unicodedata
from typing import Any

import orjson

from prefdata.errors import DropRecord

Turn = tuple[str, str]
"""Role (system, user or assistant) and content."""

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
    """The turns normalised, of which a prompt can be made.

    Args:
        turns: As the row has them.
        max_chars: The most characters over all turns.

    Raises:
        DropRecord: They are too long, or no chat template could render them as a prompt.
    """
    # Before normalising, which takes quadratic time over a long run of combining marks.
    size = sum(len(content) for _, content in turns)
    if size > max_chars:
        raise DropRecord(
            "too_long",
            f"{size} characters, max_prompt_chars is {max_chars}",
            "Raise ingest.max_prompt_chars if the model takes it.",
        )
    normal = [(role, normalize(content)) for role, content in turns]
    check_prompt(normal)
    return normal


def normalize(text: str) -> str:
    r"""NFC, `\n` line ends, no blanks at either end: "Hi\r\n" and "Hi" are one prompt."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def read_ground_truth(value: Any, field: str) -> str | None:
    """What a row gives to check responses against: text as it is, anything else as JSON."""
    if value is None:
        return None
    try:
        # Keys in order: what a Parquet file and a JSONL file say of one prompt is the same text.
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
    """Refuse what no chat template could render as a prompt. Raises DropRecord."""
    if not turns:
        raise DropRecord("empty_conversation", "found no message")
    for number, (role, content) in enumerate(turns, 1):
        where = f"message {number} ({role})"
        if not content:
            raise DropRecord("empty_message", f"{where} holds no text")
        if "\0" in content:
            raise DropRecord("nul_character", f"{where} holds a NUL character")
        check_encodable(content, where)
    spoken = turns[1:] if turns[0][0] == "system" else turns
    for number, (role, _) in enumerate(spoken):
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
    """The text of a response. Raises DropRecord where it is none, or blank."""
    if not isinstance(value, str):
        raise DropRecord("wrong_type", f"{field} is {type(value).__name__}, expected text")
    if not value.strip():
        raise DropRecord("empty_response", f"{field} holds no text")
    return check_encodable(value, field)


def check_encodable(text: str, where: str) -> str:
    """The text. Raises DropRecord where it can't be written as UTF-8."""
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
        turns.append((_ROLES[role], content))
    return turns
