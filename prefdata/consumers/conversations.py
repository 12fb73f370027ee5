"""Predicates on the values of a row, as consumers ask them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefdata.consumers.base import Problem, Row


def take(row: Row, *names: str) -> list[Any]:
    """The values of these columns; None where the row has none."""
    return [row.get(name) for name in names]


def is_text(*values: Any) -> bool:
    """Whether all are texts."""
    return all(isinstance(value, str) for value in values)


def is_message(value: Any) -> bool:
    """Whether it is an object of role and content."""
    return isinstance(value, dict) and "role" in value


def is_messages(*values: Any) -> bool:
    """Whether all are lists of messages, none of them empty."""
    return all(
        isinstance(value, list) and bool(value) and all(map(is_message, value)) for value in values
    )


def list_roles(messages: Sequence[Any]) -> list[Any]:
    """The role of each message."""
    return [message["role"] for message in messages]


def describe(value: Any) -> str:
    """What a value is, in a word or two."""
    if value is None:
        return "null"
    if is_message(value):
        return "one message"
    if isinstance(value, list):
        return "a list of messages" if is_messages(value) else "a list"
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "an object")


def begins_with(messages: Sequence[Any], prompt: Any) -> bool:
    """Whether a conversation begins with the turns of the prompt."""
    if not isinstance(prompt, list):
        return False
    return len(messages) > len(prompt) and list(messages[: len(prompt)]) == list(prompt)


def alternates(messages: Sequence[Any], asking: Sequence[str], answering: Sequence[str]) -> bool:
    """Whether an optional system turn is followed by turns of these roles by turns."""
    roles = list_roles(messages)
    spoken = roles[roles[:1] == ["system"] :]
    return bool(spoken) and all(
        role in (asking, answering)[place % 2] for place, role in enumerate(spoken)
    )


def find_null_keys(messages: Sequence[Any]) -> list[str]:
    """The keys that hold null in some of the messages, role and content aside."""
    return sorted(
        {
            key
            for message in messages
            if isinstance(message, dict)
            for key, value in message.items()
            if value is None and key not in ("role", "content")
        }
    )


def explain_null_keys(*conversations: Any) -> list[Problem]:
    """The problem of chat templates that read a key that is there as one that says something."""
    keys = find_null_keys([m for each in conversations if isinstance(each, list) for m in each])
    if not keys:
        return []
    return [
        Problem(
            "misreads",
            f"messages hold null under {', '.join(keys)}, which reaches the chat template",
            "Leave the keys out of messages that don't need them: some templates render None.",
        )
    ]
