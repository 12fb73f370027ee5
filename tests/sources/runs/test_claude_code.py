"""Sessions of Claude Code as they are in life: branches, subagents, compactions, parallel calls."""

from __future__ import annotations

from typing import Any

import agent_logs
import pytest
from agent_logs import Call, Say

from prefdata.sources.base import NoFault
from prefdata.sources.runs.claude_code import read_session
from prefdata.sources.runs.run import LogRow, Run

LOOK = Call("cat f.py", "1", "I look.")


def read(lines: list[dict[str, Any]]) -> Run:
    return read_session([LogRow(number, line) for number, line in enumerate(lines, 1)])


def contents(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for _, turn in read(lines).turns]


def line(kind: str, content: Any, parent: str | None, **fields: Any) -> dict[str, Any]:
    message = {"role": kind, "content": content, **fields.pop("message", {})}
    uuid = agent_logs.new_id("u")
    return {"type": kind, "message": message, "uuid": uuid, "parentUuid": parent, **fields}


def test_the_blocks_of_a_message_are_one_turn() -> None:
    lines = agent_logs.claude_code("Go.", [LOOK._replace(thoughts="Hm."), Say("Done.")])
    run = read(lines)
    assert (run.model, run.ids) == ("claude-x", [lines[1]["sessionId"]])
    assert [(turn.role, number) for number, turn in run.turns] == [
        ("user", 2),
        ("assistant", 3),
        ("tool", 6),
        ("assistant", 7),
    ]
    turn = run.turns[1].turn
    assert (turn.content, turn.thoughts) == ("I look.", "Hm.")
    assert turn.tool_calls == [
        {"id": "call00001", "name": "Bash", "arguments": '{"command":"cat f.py"}'}
    ]


def test_only_the_branch_of_the_last_line_counts() -> None:
    """The user went back to the first turn, and asked anew."""
    lines = agent_logs.claude_code("Go.", [Say("Where?")])
    again = line("user", "Go home.", lines[1]["parentUuid"])
    lines += [again, line("assistant", [{"type": "text", "text": "I go."}], again["uuid"])]
    assert contents(lines) == [("user", "Go home."), ("assistant", "I go.")]


def test_parallel_calls_and_their_results_are_kept_together() -> None:
    """Each result's parent is the line of its own call, so that the lines fork."""
    user = line("user", "Go.", None)
    same = {"message": {"id": "msg_1", "model": "m"}}
    use = [{"type": "tool_use", "id": f"t{n}", "name": "f", "input": {"n": n}} for n in (1, 2)]
    one = line("assistant", [use[0]], user["uuid"], **same)
    two = line("assistant", [use[1]], one["uuid"], message=same["message"])
    back = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": f"r{n}"} for n in (1, 2)]
    first, second = line("user", [back[0]], one["uuid"]), line("user", [back[1]], two["uuid"])
    end = line("assistant", [{"type": "text", "text": "Done."}], second["uuid"])
    for results in ([first, second], [second, first]):
        run = read([user, one, two, *results, end])
        roles = [turn.role for _, turn in run.turns]
        assert roles == ["user", "assistant", "tool", "tool", "assistant"]
        assert [turn.content for _, turn in run.turns[2:4]] == ["r1", "r2"]
        assert [turn.tool_call_id for _, turn in run.turns[2:4]] == ["call00001", "call00002"]


def test_what_is_no_part_of_the_main_conversation_is_left_out() -> None:
    lines = agent_logs.claude_code("Go.", [LOOK, Say("Done.")])
    last = lines[-1]["uuid"]
    error = line("assistant", "API Error", last, isApiErrorMessage=True)
    error["message"]["model"] = "<synthetic>"
    lines[3:3] = [
        line("user", "Look for it.", None, isSidechain=True),
        line("user", "Caveat: …", lines[1]["uuid"], isMeta=True),
        {"type": "system", "subtype": "hook", "uuid": "s", "parentUuid": None},
    ]
    lines += [error, {"type": "summary", "summary": "Went.", "leafUuid": last}]
    assert [content for _, content in contents(lines)] == ["Go.", "I look.", "1", "Done."]


def test_a_run_ends_where_its_context_is_compacted() -> None:
    lines = agent_logs.claude_code("Go.", [LOOK])
    boundary = {"type": "system", "subtype": "compact_boundary", "uuid": "c", "parentUuid": None}
    lines += [boundary, line("user", "This session continues …", "c", isCompactSummary=True)]
    lines.append(line("assistant", "Done.", lines[-1]["uuid"]))
    assert [content for _, content in contents(lines)] == ["Go.", "I look.", "1"]


def test_a_file_of_a_subagent_is_no_run() -> None:
    with pytest.raises(NoFault, match="a subagent's conversation"):
        read([line("user", "Look for it.", None, isSidechain=True)])
