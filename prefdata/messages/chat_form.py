"""Messages as chat templates, servers and trainers take them: OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

THOUGHT_KEYS = ("reasoning_content", "thinking")
"""The keys under which chat templates look for an assistant's thoughts."""


def to_chat_form(
    message: Mapping[str, Any],
    arguments: Literal["object", "text"] = "object",
    thought_keys: Sequence[str] = THOUGHT_KEYS,
) -> dict[str, Any]:
    """A message in OpenAI's form, with no key that it does not need.

    `{"role": "assistant", "content": "", "thoughts": null, "tool_calls": [{"id": "1", "name": "f",
    "arguments": "{}"}]}` becomes `{"role": "assistant", "content": "", "tool_calls": [{"id": "1",
    "type": "function", "function": {"name": "f", "arguments": {}}}]}`.

    Args:
        message: The fields of `Message`; those of STRUCTURE may be null or absent.
        arguments: The form of a call's arguments: an object for chat templates, text for servers.
        thought_keys: The keys of its thoughts.
    """
    chat: dict[str, Any] = {"role": message["role"], "content": message["content"]}
    if message.get("thoughts") is not None:
        chat |= dict.fromkeys(thought_keys, message["thoughts"])
    if message.get("tool_calls"):
        chat["tool_calls"] = [to_call_form(call, arguments) for call in message["tool_calls"]]
    for name in ("tool_call_id", "name"):
        if message.get(name) is not None:
            chat[name] = message[name]
    return chat


def to_chat(
    messages: Sequence[Mapping[str, Any]], arguments: Literal["object", "text"] = "object"
) -> list[dict[str, Any]]:
    """Each message in OpenAI's form; see `to_chat_form`."""
    return [to_chat_form(message, arguments) for message in messages]


def to_call_form(
    call: Mapping[str, Any], arguments: Literal["object", "text"] = "object"
) -> dict[str, Any]:
    """A call in OpenAI's form. `call` has the fields of `ToolCall`."""
    given = call["arguments"] if arguments == "text" else orjson.loads(call["arguments"])
    named = {} if call.get("id") is None else {"id": call["id"]}
    return {**named, "type": "function", "function": {"name": call["name"], "arguments": given}}


def parse_tools(tools: str | None) -> list[dict[str, Any]] | None:
    """A prompt's tools; None where it has none."""
    return None if tools is None else orjson.loads(tools)
