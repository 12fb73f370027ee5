"""Agents' logs in the forms in which real programs write them, of the same steps in each form.

Ids are different in every log, as in real ones.
"""

from __future__ import annotations

from itertools import count
from typing import Any, NamedTuple

import orjson

_ids = count(1)

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "bash",
            "description": "Run a command.",
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
        },
    }
]


class Call(NamedTuple):
    """A turn that runs a command, and what came back."""

    command: str
    result: str
    text: str = ""
    thoughts: str | None = None


class Say(NamedTuple):
    """A turn that only says something."""

    text: str
    thoughts: str | None = None


Step = Call | Say


def new_id(prefix: str) -> str:
    """An id that no other has."""
    return f"{prefix}{next(_ids):08x}"


def write_lines(rows: list[Any]) -> bytes:
    """Rows as JSONL; bytes stand as they are."""
    return b"".join((r if isinstance(r, bytes) else orjson.dumps(r)) + b"\n" for r in rows)


def message_row(task: str, asked: str, steps: list[Step], **fields: Any) -> dict[str, Any]:
    """A run as a row of messages in OpenAI's form."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You mend code."},
        {"role": "user", "content": asked},
    ]
    for step in steps:
        message: dict[str, Any] = {"role": "assistant", "content": step.text or None}
        if step.thoughts:
            message["reasoning_content"] = step.thoughts
        messages.append(message)
        if isinstance(step, Call):
            call_id = new_id("call_")
            arguments = orjson.dumps({"command": step.command}).decode()
            function = {"name": "bash", "arguments": arguments}
            message["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
            messages.append({"role": "tool", "tool_call_id": call_id, "content": step.result})
    return {"task_id": task, "messages": messages, "tools": TOOLS, "model": "m-1", **fields}


def atif(asked: str, steps: list[Step], **extra: Any) -> dict[str, Any]:
    """A run as a trajectory of ATIF."""
    rows: list[dict[str, Any]] = [
        {"source": "system", "message": "You mend code."},
        {"source": "user", "message": asked},
    ]
    for step in steps:
        row: dict[str, Any] = {"source": "agent", "message": step.text, "model_name": "m-1"}
        if step.thoughts:
            row["reasoning_content"] = step.thoughts
        if isinstance(step, Call):
            call_id = new_id("call_")
            arguments = {"command": step.command}
            row["tool_calls"] = [
                {"tool_call_id": call_id, "function_name": "bash", "arguments": arguments}
            ]
            row["observation"] = {"results": [{"source_call_id": call_id, "content": step.result}]}
        rows.append(row)
    return {
        "schema_version": "ATIF-v1.6",
        "session_id": new_id("session-"),
        "agent": {"name": "mender", "version": "1.0", "tool_definitions": TOOLS},
        "steps": [{"step_id": number, **row} for number, row in enumerate(rows, 1)],
        "final_metrics": {"total_steps": len(rows)},
        "extra": extra,
    }


def claude_code(asked: str, steps: list[Step]) -> list[dict[str, Any]]:
    """A run as the lines of a session of Claude Code: each block of a message in a line."""
    session = new_id("session-")
    lines: list[dict[str, Any]] = [
        {"type": "file-history-snapshot", "messageId": new_id("m"), "snapshot": {}}
    ]

    def add(kind: str, **message: Any) -> None:
        parent = next((line["uuid"] for line in reversed(lines) if "uuid" in line), None)
        common = {"parentUuid": parent, "isSidechain": False, "sessionId": session, "type": kind}
        lines.append({**common, "message": {"role": kind, **message}, "uuid": new_id("u")})

    add("user", content=asked)
    for step in steps:
        named = {"id": new_id("msg_"), "type": "message", "model": "claude-x"}
        blocks: list[dict[str, Any]] = []
        if step.thoughts:
            blocks.append({"type": "thinking", "thinking": step.thoughts, "signature": "x"})
        if step.text:
            blocks.append({"type": "text", "text": step.text})
        tool = new_id("toolu_")
        if isinstance(step, Call):
            given = {"command": step.command}
            blocks.append({"type": "tool_use", "id": tool, "name": "Bash", "input": given})
        for block in blocks:
            add("assistant", **named, content=[block])
        if isinstance(step, Call):
            result = {"type": "tool_result", "tool_use_id": tool, "content": step.result}
            add("user", content=[result])
    return lines


def codex(asked: str, steps: list[Step]) -> list[dict[str, Any]]:
    """A run as the lines of a session of Codex."""
    session = new_id("0199-")
    lines: list[dict[str, Any]] = [
        {
            "type": "session_meta",
            "payload": {"id": session, "base_instructions": {"text": "You are Codex."}},
        },
        {"type": "turn_context", "payload": {"model": "gpt-x", "cwd": f"/w/{session}"}},
    ]

    def add(kind: str, **item: Any) -> None:
        lines.append({"type": "response_item", "payload": {"type": kind, **item}})

    def say(role: str, kind: str, text: str) -> None:
        add("message", role=role, content=[{"type": kind, "text": text}])

    where = f"<environment_context>\n<cwd>/w/{session}</cwd>\n</environment_context>"
    say("developer", "input_text", f"You may write to /w/{session}.")
    say("user", "input_text", where)
    say("user", "input_text", asked)
    lines.append({"type": "event_msg", "payload": {"type": "user_message", "message": asked}})
    for step in steps:
        summary = [{"type": "summary_text", "text": step.thoughts}] if step.thoughts else []
        add("reasoning", summary=summary, content=None, encrypted_content="gAAA")
        if step.text:
            say("assistant", "output_text", step.text)
        if isinstance(step, Call):
            call_id = new_id("call_")
            arguments = orjson.dumps({"command": step.command}).decode()
            add("function_call", name="shell", arguments=arguments, call_id=call_id)
            lines.append({"type": "event_msg", "payload": {"type": "token_count"}})
            add("function_call_output", call_id=call_id, output=step.result)
    return lines
