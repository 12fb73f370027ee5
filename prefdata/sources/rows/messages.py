"""Messages in the forms of OpenAI, Hermes, ShareGPT, ms-swift and Anthropic, as turns.

| form | a call | its result |
|---|---|---|
| OpenAI | `tool_calls`, their arguments as JSON text or an object | role `tool`, `tool_call_id` |
| Hermes | `<tool_call>` in the text of `gpt` | `tool`, with `<tool_response>` |
| ShareGPT | `function_call`, whose value is JSON | `observation` |
| ms-swift | `tool_call` behind the text, a turn for each | `tool_response` |
| Anthropic | a block `tool_use` | a block `tool_result` in a user's message |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from prefdata.errors import DropRecord
from prefdata.messages.calls import CallFault
from prefdata.messages.chat_form import THOUGHT_KEYS
from prefdata.messages.tool_calls import split_hermes
from prefdata.sources.rows.calls import (
    load_literal,
    read_call_text,
    read_calls,
    split_thought,
    unreadable,
)
from prefdata.sources.rows.contents import read_content, split_results
from prefdata.sources.rows.conversations import Turn, check_response
from prefdata.sources.rows.tools import read_tools, take_system_tools

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "human": "user",
    "gpt": "assistant",
    "prompter": "user",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool_response": "tool",
}
"""The names that other datasets use for the same four roles."""
_SPEAKERS = frozenset({"system", "user", "assistant"})
_THOUGHTS = (*THOUGHT_KEYS, "reasoning", "thoughts")


class Conversation(NamedTuple):
    """The turns of a row, and its tools as in `Prompt`."""

    turns: list[Turn]
    tools: str | None = None


def read_conversation(
    value: Any, field: str, tools: Any = None, tools_field: str = "tools", system: Any = None
) -> Conversation:
    """Read a list of messages and the tools beside them.

    `<tool_call>` in a text is a call only where there are tools or tool turns; else it is text.

    Args:
        value: The messages.
        field: Their field, for errors.
        tools: The tools, in any form that `read_tools` takes.
        tools_field: Their field, for errors.
        system: A system prompt beside the messages, as Anthropic has it; None: none.

    Raises:
        DropRecord: They can't be read.
    """
    messages = _require_messages(value, field)
    if system:
        messages = [{"role": "system", "content": system}, *messages]
    offered = read_tools(tools, tools_field)
    first = messages[0] if messages else None
    if isinstance(first, dict) and _name_role(first) == "system":
        text = first.get("content", first.get("value"))
        defined = take_system_tools(text) if isinstance(text, str) and "<tools>" in text else None
        if defined is not None:
            # The column, where there is one, says the same without the system turn's own words.
            offered = offered or read_tools(defined.tools, f"{field}, message 1, <tools>")
            rest = [{"role": "system", "content": defined.text}] if defined.text else []
            messages = [*rest, *messages[1:]]
    marked = offered is not None or any(
        isinstance(message, dict) and _name_role(message) == "tool" for message in messages
    )
    return Conversation(read_messages(messages, field, marked), offered)


def read_messages(value: Any, field: str, marked: bool = False) -> list[Turn]:
    """The turns of a list of messages, roles renamed.

    Args:
        value: The messages.
        field: Their field, for errors.
        marked: Whether `<tool_call>` and `<tool_response>` in a text are Hermes' marks.

    Raises:
        DropRecord: They are no messages, or a call in them can't be read.
    """
    turns: list[Turn] = []
    for number, message in enumerate(_require_messages(value, field), 1):
        if not isinstance(message, dict):
            raise DropRecord("wrong_type", f"{field}, message {number} is no object")
        plain = None if marked else _read_plain(message)
        if plain is not None:
            turns.append(plain)
            continue
        read = _read_message(message, f"{field}, message {number}", marked)
        if message.get("role") == "tool_call" and turns and turns[-1].role == "assistant":
            # ms-swift's: the text and each call of one turn stand one behind the other.
            calls = [*(turns[-1].tool_calls or ()), *(read[0].tool_calls or ())]
            turns[-1] = turns[-1]._replace(tool_calls=calls)
        else:
            turns += read
    return _fill_result_ids(turns)


def read_response(value: Any, field: str, marked: bool = False) -> Turn:
    """A response: text, one assistant's message, or a list of one. Raises DropRecord."""
    if isinstance(value, str):
        return check_response(Turn("assistant", value), field)
    if not isinstance(value, list | dict):
        raise DropRecord(
            "wrong_type",
            f"{field} is {type(value).__name__}, expected text or an assistant's message",
        )
    turns = read_messages(value if isinstance(value, list) else [value], field, marked)
    return take_response(turns, field)


def take_response(turns: Sequence[Turn], field: str) -> Turn:
    """The one turn of a response. Raises DropRecord where there are others."""
    if len(turns) != 1 or turns[0].role != "assistant":
        found = ", ".join(turn.role for turn in turns) or "nothing"
        raise DropRecord(
            "several_turns", f"{field}: behind the prompt stands {found}, expected one response"
        )
    return check_response(turns[0], field)


def is_anthropic(messages: Any, tools: Any) -> bool:
    """Whether a row has the form of Anthropic, whose system prompt stands beside the messages."""
    listed = messages if isinstance(messages, list) else []
    if any(isinstance(message, dict) and _holds_blocks(message) for message in listed):
        return True
    if isinstance(tools, list):
        return any(isinstance(tool, dict) and tool.get("input_schema") for tool in tools)
    return isinstance(tools, str) and '"input_schema"' in tools


def _holds_blocks(message: dict[str, Any]) -> bool:
    return isinstance(message.get("content", message.get("value")), list)


def _require_messages(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise DropRecord(
            "wrong_type", f"{field} is {type(value).__name__}, expected text or a list of messages"
        )
    return value


def _name_role(message: dict[str, Any]) -> str | None:
    role = message.get("role", message.get("from"))
    return _ROLES.get(role) if isinstance(role, str) else None


def _read_plain(message: dict[str, Any]) -> Turn | None:
    """The turn of a message that is a speaker's role and text, as most are; None: it is another."""
    role, text = message.get("role"), message.get("content")
    if len(message) == 2 and isinstance(role, str) and isinstance(text, str) and role in _SPEAKERS:
        return Turn(_ROLES[role], text)
    return None


def _read_message(message: dict[str, Any], where: str, marked: bool) -> list[Turn]:
    named = message.get("role", message.get("from"))
    role = _name_role(message)
    if role is None:
        raise DropRecord("unknown_role", f"{where} has role {named!r}; known: {', '.join(_ROLES)}")
    content = message.get("content", message.get("value"))
    calls = read_calls(message, where)
    if named in ("function_call", "tool_call"):
        content, call = split_thought(content)
        calls += read_call_text(call, where)
    if content is None and calls:
        content = ""
    parts = read_content(content, where)
    calls += parts.calls
    thoughts = _read_thoughts(message, where)
    if thoughts is None and parts.thoughts:
        thoughts = "\n".join(parts.thoughts)
    if role != "assistant" and (calls or thoughts is not None):
        held = "calls" if calls else "thoughts"
        raise DropRecord("wrong_type", f"{where} ({named}) has {held}, only an assistant has any")
    if role == "tool":
        return _read_results(message, parts.text, marked)
    if parts.results:
        if role != "user":
            raise DropRecord("wrong_type", f"{where} ({named}) holds a tool_result, not a user's")
        return [*parts.results, *([Turn("user", parts.text)] if parts.text else [])]
    text = parts.text
    if marked and role == "user":
        results = split_results(text)
        if results is not None:
            return [Turn("tool", result) for result in results]
    if marked and role == "assistant" and "<tool_call>" in text:
        try:
            text, written = split_hermes(text, load_literal)
        except CallFault as fault:
            raise unreadable(where, fault) from fault
        calls += written
    return [Turn(role, text, thoughts, calls or None)]


def _read_thoughts(message: dict[str, Any], where: str) -> str | None:
    given = next((message[key] for key in _THOUGHTS if message.get(key) is not None), None)
    if given is not None and not isinstance(given, str):
        raise DropRecord(
            "wrong_type", f"{where} has thoughts {type(given).__name__}, expected text"
        )
    return given


def _read_results(message: dict[str, Any], text: str, marked: bool) -> list[Turn]:
    results = split_results(text) if marked else None
    call_id, name = message.get("tool_call_id"), message.get("name")
    if results is None or call_id:
        results = [text]
    return [
        Turn(
            "tool",
            result,
            tool_call_id=str(call_id) if call_id else None,
            name=name if isinstance(name, str) and name else None,
        )
        for result in results
    ]


def _fill_result_ids(turns: list[Turn]) -> list[Turn]:
    """The turns, with the ids of the calls in results that have none: they follow in order."""
    filled: list[Turn] = []
    open_ids: list[str | None] = []
    for turn in turns:
        if turn.role == "tool" and turn.tool_call_id is None and open_ids:
            turn = turn._replace(tool_call_id=open_ids.pop(0))
        elif turn.role == "tool" and turn.tool_call_id in open_ids:
            open_ids.remove(turn.tool_call_id)
        elif turn.role != "tool":
            open_ids = [call["id"] for call in turn.tool_calls or ()]
        filled.append(turn)
    return filled
