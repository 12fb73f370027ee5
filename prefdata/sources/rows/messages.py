"""Messages in the forms of OpenAI, Hermes, ShareGPT and Anthropic, as turns.

| form | a call | its result |
|---|---|---|
| OpenAI | `tool_calls`, their arguments as JSON text or an object | role `tool`, `tool_call_id` |
| Hermes | `<tool_call>` in the text of `gpt` | `tool`, with `<tool_response>` |
| ShareGPT | `function_call`, whose value is JSON | `observation` |
| Anthropic | a block `tool_use` | a block `tool_result` in a user's message |
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, NamedTuple

from prefdata.errors import DropRecord
from prefdata.messages.calls import CallFault, load_json, take_call
from prefdata.messages.chat_form import THOUGHT_KEYS
from prefdata.messages.tool_calls import UNREADABLE, split_hermes
from prefdata.sources.rows.contents import read_content, split_results
from prefdata.sources.rows.conversations import Turn, check_response
from prefdata.sources.rows.tools import drop_nulls, read_tools, take_system_tools

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
}
"""The names that other datasets use for the same four roles."""
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
        turns += _read_message(message, f"{field}, message {number}", marked)
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


def _read_message(message: dict[str, Any], where: str, marked: bool) -> list[Turn]:
    named = message.get("role", message.get("from"))
    role = _name_role(message)
    if role is None:
        raise DropRecord("unknown_role", f"{where} has role {named!r}; known: {', '.join(_ROLES)}")
    content = message.get("content", message.get("value"))
    calls = _read_calls(message, where)
    if named == "function_call":
        calls += _read_call_text(content, where)
        content = ""
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
            text, written = split_hermes(text, _load_literal)
        except CallFault as fault:
            raise _unreadable(where, fault) from fault
        calls += written
    return [Turn(role, text, thoughts, calls or None)]


def _read_calls(message: dict[str, Any], where: str) -> list[dict[str, str | None]]:
    """The calls beside a message's content, in OpenAI's form of today or of before."""
    given = message.get("tool_calls")
    if given is None and isinstance(message.get("function_call"), dict):
        given = [message["function_call"]]
    if given is None:
        return []
    if not isinstance(given, list):
        raise DropRecord(
            "wrong_type", f"{where} has tool_calls {type(given).__name__}, expected a list"
        )
    return [_read_call(call, f"{where}, call {number}") for number, call in enumerate(given, 1)]


def _read_call(call: Any, where: str) -> dict[str, str | None]:
    """A call in OpenAI's form, or of name and arguments alone."""
    if isinstance(call, dict):
        inner = call.get("function", call)
        if isinstance(inner, dict):
            # Of JSON text nothing is left out: only Parquet fills objects with nulls.
            given = {key: drop_nulls(item) for key, item in inner.items()}
            call = {**given, "id": call.get("id")}
    try:
        return take_call(call)
    except CallFault as fault:
        raise _unreadable(where, fault) from fault


def _read_call_text(value: Any, where: str) -> list[dict[str, str | None]]:
    """The calls of a ShareGPT turn `function_call`: the JSON text of one, or of a list."""
    try:
        found = load_json(value) if isinstance(value, str) else value
    except CallFault as fault:
        raise _unreadable(where, fault) from fault
    return [_read_call(call, where) for call in (found if isinstance(found, list) else [found])]


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


def _load_literal(text: str) -> Any:
    """JSON, or a Python literal, in which Hermes' own dataset writes its calls."""
    try:
        return load_json(text)
    except CallFault:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise CallFault(f"it is no JSON: {text[:80]!r}") from None


def _unreadable(where: str, fault: CallFault) -> DropRecord:
    return DropRecord(UNREADABLE, f"{where}: a tool call can't be read: {fault}")
