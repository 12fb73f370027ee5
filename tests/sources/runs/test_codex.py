"""Sessions of Codex as they are in life: notes of the program, kinds of calls, compactions."""

from __future__ import annotations

from typing import Any

import agent_logs
from agent_logs import Call, Say

from prefdata.sources.runs.codex import read_rollout
from prefdata.sources.runs.run import LogRow, Run

LOOK = Call("cat f.py", "1", "I look.", "Where is it?")


def read(lines: list[dict[str, Any]]) -> Run:
    return read_rollout([LogRow(number, line) for number, line in enumerate(lines, 1)])


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response_item", "payload": {"type": kind, **fields}}


def test_items_between_two_results_are_one_turn() -> None:
    lines = agent_logs.codex("Go.", [LOOK, Say("Done.")])
    run = read(lines)
    assert (run.model, run.ids) == ("gpt-x", [lines[0]["payload"]["id"]])
    assert [(turn.role, turn.content) for _, turn in run.turns] == [
        ("system", "You are Codex."),
        ("user", "Go."),
        ("assistant", "I look."),
        ("tool", "1"),
        ("assistant", "Done."),
    ]
    turn = run.turns[2].turn
    assert turn.thoughts == "Where is it?"
    assert turn.tool_calls == [
        {"id": "call00001", "name": "shell", "arguments": '{"command":"cat f.py"}'}
    ]


def test_calls_of_other_kinds() -> None:
    patch = "*** Begin Patch"
    lines = [
        *agent_logs.codex("Go.", []),
        item("custom_tool_call", name="apply_patch", input=patch, call_id="a"),
        item("local_shell_call", action={"type": "exec", "command": ["ls"]}, call_id="b"),
        item("function_call_output", call_id="b", output={"content": "f.py", "success": True}),
        item("custom_tool_call_output", call_id="a", output=[{"type": "input_text", "text": "ok"}]),
    ]
    turns = [turn for _, turn in read(lines).turns[2:]]
    assert [(c["name"], c["arguments"]) for c in turns[0].tool_calls or ()] == [
        ("apply_patch", '{"input":"*** Begin Patch"}'),
        ("local_shell", '{"command":["ls"]}'),
    ]
    assert [turn.content for turn in turns[1:]] == ["ok", "f.py"]


def test_a_note_beside_the_question_is_left_out() -> None:
    parts = [
        {"type": "input_text", "text": "<environment_context>\n</environment_context>"},
        {"type": "input_text", "text": "Go."},
    ]
    ((_, turn),) = read([item("message", role="user", content=parts)]).turns
    assert turn.content == "Go."


def test_a_run_ends_where_its_context_is_compacted() -> None:
    lines = [
        *agent_logs.codex("Go.", [Say("Done.")]),
        {"type": "compacted", "payload": {"message": "They said: go."}},
        item("message", role="user", content=[{"type": "input_text", "text": "And now?"}]),
    ]
    assert [turn.content for _, turn in read(lines).turns] == ["You are Codex.", "Go.", "Done."]
