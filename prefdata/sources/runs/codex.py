"""Codex: session logs of `~/.codex/sessions/…/rollout-*.jsonl`, one run a file.

A line is `{"timestamp", "type", "payload"}`. `session_meta` names the session, `turn_context` the
model, and each `response_item` is an item of OpenAI's Responses API: a message, reasoning, a call
or its result. `event_msg` lines repeat them for the display.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prefdata.sources.runs.run import LogRow, PlacedTurn, Run, place_messages, settle_turns

_TYPES = ("session_meta", "turn_context", "response_item", "event_msg")
_NOTE = re.compile(r"\s*<(environment_context|turn_aborted)>")
"""What Codex itself says in the user's name: where it runs, which differs from run to run."""


def is_codex(row: Mapping[str, Any]) -> bool:
    """Whether the row is a line of a session log."""
    return row.get("type") in _TYPES and isinstance(row.get("payload"), dict)


def read_rollout(rows: Sequence[LogRow]) -> Run:
    """The run of a session, up to the first compaction of its context.

    The base instructions are its system turn. Developer messages and notes on the environment are
    left out. Of encrypted reasoning the summary counts. Raises DropRecord.
    """
    turns: list[PlacedTurn] = []
    ids, model = [], None
    for number, row in rows:
        kind, payload = row.get("type"), row.get("payload")
        if kind == "compacted":
            break
        if not isinstance(payload, dict):
            continue
        if kind == "session_meta":
            ids += [payload[name] for name in ("id",) if isinstance(payload.get(name), str)]
            base = payload.get("base_instructions")
            text = base.get("text") if isinstance(base, dict) else payload.get("instructions")
            if isinstance(text, str) and text.strip() and not turns:
                turns += place_messages(number, {"role": "system", "content": text})
        elif kind == "turn_context":
            model = model or payload.get("model")
        elif kind == "response_item":
            message = _read_item(payload)
            if message is not None:
                turns += place_messages(number, message)
    return Run(settle_turns(turns), None, model, ids, {})


def _read_item(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The item as a message in OpenAI's form; None: it is no part of the conversation."""
    kind = item.get("type")
    if kind == "message":
        content = _drop_notes(item.get("content"))
        known = item.get("role") in ("user", "assistant")
        return {"role": item["role"], "content": content} if known and content else None
    if kind == "reasoning":
        parts = item.get("content") or item.get("summary") or []
        text = "\n\n".join(part.get("text", "") for part in parts if isinstance(part, dict))
        return {"role": "assistant", "content": "", "reasoning_content": text} if text else None
    if kind == "function_call":
        return _call(item, item.get("name"), item.get("arguments"))
    if kind == "custom_tool_call":
        return _call(item, item.get("name"), {"input": item.get("input")})
    if kind == "local_shell_call":
        action = item.get("action") or {}
        return _call(item, "local_shell", {"command": action.get("command")})
    if kind in ("function_call_output", "custom_tool_call_output"):
        output = item.get("output")
        if isinstance(output, dict):
            output = output.get("content")
        return {"role": "tool", "content": output or "", "tool_call_id": item.get("call_id")}
    return None


def _call(item: Mapping[str, Any], name: Any, arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    calls = [{"id": item.get("call_id"), "function": function}]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def _drop_notes(content: Any) -> Any:
    """The content without Codex's own notes, in the parts that OpenAI's chat form has."""
    if isinstance(content, str):
        return None if _NOTE.match(content) else content
    if not isinstance(content, list):
        return None
    return [part for part in content if not _is_note(part)]


def _is_note(part: Any) -> bool:
    return isinstance(part, dict) and _NOTE.match(str(part.get("text", ""))) is not None
