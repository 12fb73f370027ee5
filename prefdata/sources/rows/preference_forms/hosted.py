"""The forms of trainers behind an API: OpenAI's, which others take too, and Gemini's."""

from __future__ import annotations

from typing import Any

from prefdata.errors import DropRecord
from prefdata.sources.rows.conversations import Turn
from prefdata.sources.rows.messages import read_conversation, read_messages, take_response
from prefdata.sources.rows.preference_forms.ranked import take_ranked
from prefdata.sources.rows.preference_forms.row import Form, PreferenceRow, check_pair, require


def _read_openai(row: dict[str, Any]) -> PreferenceRow:
    value = require(row, "input")
    if not isinstance(value, dict):
        raise DropRecord("wrong_type", f"input is {type(value).__name__}, expected an object")
    turns, tools = read_conversation(
        value.get("messages"), "input.messages", value.get("tools"), "input.tools"
    )
    chosen, rejected = (
        take_response(read_messages(require(row, name), name, tools is not None), name)
        for name in ("preferred_output", "non_preferred_output")
    )
    check_pair(turns, [chosen, rejected])
    return PreferenceRow(turns, chosen, rejected, tools=tools)


def _read_gemini(row: dict[str, Any]) -> PreferenceRow:
    contents = [_read_content(c, f"contents, {n}") for n, c in _number(row, "contents")]
    instruction = row.get("system_instruction")
    system = [] if instruction is None else [_read_content(instruction, "system_instruction")]
    turns = [*(turn._replace(role="system") for turn in system), *contents]
    better, worse = take_ranked(row, "score", best=max)
    chosen, rejected = (
        _read_content(each.get("completion"), "completions") for each in (better, worse)
    )
    check_pair(turns, [chosen, rejected])
    return PreferenceRow(turns, chosen, rejected)


def _number(row: dict[str, Any], name: str) -> enumerate[Any]:
    """The items of a list, numbered from 1."""
    value = require(row, name)
    if not isinstance(value, list):
        raise DropRecord("wrong_type", f"{name} is {type(value).__name__}, expected a list")
    return enumerate(value, 1)


def _read_content(value: Any, where: str) -> Turn:
    """A turn of Gemini's: `{"role": "user" or "model", "parts": [{"text": ...}]}`."""
    parts = value.get("parts") if isinstance(value, dict) else None
    listed = parts if isinstance(parts, list) else []
    texts = [p["text"] for p in listed if isinstance(p, dict) and isinstance(p.get("text"), str)]
    if not texts or len(texts) < len(listed):
        raise DropRecord("wrong_type", f"{where}: expected an object with parts of text")
    role = value.get("role") or "user"
    if role not in ("user", "model"):
        raise DropRecord("unknown_role", f"{where} has role {role!r:.40}; known: user, model")
    return Turn("assistant" if role == "model" else "user", "".join(texts))


OPENAI = Form("OpenAI", ("input", "preferred_output", "non_preferred_output"), _read_openai)
GEMINI = Form("Gemini", ("contents", "completions"), _read_gemini, ("system_instruction",))
