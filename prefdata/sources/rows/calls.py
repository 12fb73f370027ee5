"""Tool calls in rows: in objects beside a text, and in texts."""

from __future__ import annotations

import ast
import re
from typing import Any

from prefdata.errors import DropRecord
from prefdata.messages.calls import CallFault, load_json, take_call
from prefdata.messages.tool_calls import UNREADABLE
from prefdata.sources.rows.tools import drop_nulls

_THOUGHT = re.compile(r"<think>.*?</think>\s*", re.DOTALL)
"""As LLaMA-Factory takes it off the text of a call."""


def read_calls(message: dict[str, Any], where: str) -> list[dict[str, str | None]]:
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
        raise unreadable(where, fault) from fault


def read_call_text(value: Any, where: str) -> list[dict[str, str | None]]:
    """The calls of a ShareGPT turn `function_call`: the JSON text of one, or of a list."""
    try:
        found = load_json(value) if isinstance(value, str) else value
    except CallFault as fault:
        raise unreadable(where, fault) from fault
    return [_read_call(call, where) for call in (found if isinstance(found, list) else [found])]


def split_thought(value: Any) -> tuple[str, Any]:
    """(a thought that stands before a call, with its marks; the call)."""
    found = _THOUGHT.match(value) if isinstance(value, str) else None
    return (found[0], value[found.end() :]) if found else ("", value)


def load_literal(text: str) -> Any:
    """JSON, or a Python literal, in which Hermes' own dataset writes its calls."""
    try:
        return load_json(text)
    except CallFault:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise CallFault(f"it is no JSON: {text[:80]!r}") from None


def unreadable(where: str, fault: CallFault) -> DropRecord:
    """The reason of a record with a call that can't be read."""
    return DropRecord(UNREADABLE, f"{where}: a tool call can't be read: {fault}")
