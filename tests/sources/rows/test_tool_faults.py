"""Tools, calls and results that are none: dropped, with the reason and the place."""

from __future__ import annotations

from typing import Any

import pytest
from sources.rows.test_tool_forms import FUNCTION, TOOL, USER, read

from prefdata.errors import DropRecord


def drop(row: dict[str, Any]) -> DropRecord:
    with pytest.raises(DropRecord) as caught:
        read(row)
    return caught.value


def calling(*ids: str | None, **function: Any) -> dict[str, Any]:
    given = {"name": "get_weather", "arguments": "{}", **function}
    calls = [{"id": each, "type": "function", "function": given} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(call_id: str | None = None) -> dict[str, Any]:
    return {"role": "tool", "content": "21", "tool_call_id": call_id}


@pytest.mark.parametrize(
    ("messages", "reason", "detail"),
    [
        ([USER, calling("a", arguments="{city"), result("a")], "tool_call_unreadable", "no JSON"),
        (
            [USER, calling("a", arguments="[1]"), result("a")],
            "tool_call_unreadable",
            "message 2, call 1: a tool call can't be read: its arguments are list",
        ),
        ([USER, calling("a", name=None), result("a")], "tool_call_unreadable", "name is None"),
        ([USER, {"role": "function_call", "content": "f()"}], "tool_call_unreadable", "no JSON"),
        ([USER, result("a")], "result_without_call", "message 2 (tool)"),
        ([USER, calling("a"), result("b")], "result_without_call", "a call 'b'"),
        ([USER, calling("a"), result("a"), result("a")], "result_without_call", "message 4"),
        ([USER, calling(None), result(), result()], "result_without_call", "without an id"),
        ([USER, calling("a"), USER], "call_without_result", "1 calls ('a') have no result before"),
        ([USER, calling("a", "b"), result("a"), USER], "call_without_result", "('b')"),
        ([USER, calling("a", "b"), result("a")], "call_without_result", "before the end"),
        ([USER, calling(None), USER], "call_without_result", "message 3 (user)"),
        ([USER, calling("a", "a"), result("a")], "repeated_call_id", "the id 'a', which is taken"),
        (
            [USER, calling("a"), result("a"), calling("a"), result("a")],
            "repeated_call_id",
            "message 4",
        ),
        ([USER, calling("a")], "ends_without_user", "a user's message or a tool's result"),
        ([{**calling("a"), "role": "user"}], "wrong_type", "only an assistant has any"),
        ([{**USER, "thinking": "Hm"}], "wrong_type", "has thoughts, only an assistant has any"),
        ([USER, calling("a"), USER, result("a")], "call_without_result", "message 3"),
        (
            [{"role": "user", "content": [{"type": "image", "source": {}}]}],
            "images_unsupported",
            "prefdata reads text only",
        ),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
            "images_unsupported",
            "part 1 is of the type 'input_audio'",
        ),
        (
            [USER, calling("a"), {**result("a"), "content": [{"type": "image"}]}],
            "images_unsupported",
            "message 3, part 1",
        ),
        ([{"role": "user", "content": [{"type": "poem"}]}], "unknown_part", "'poem'; known: text"),
        (
            [{"role": "assistant", "content": [{"type": "tool_result", "content": "x"}]}],
            "wrong_type",
            "not a user's",
        ),
        ([USER, calling("a", name="x\0"), result("a")], "nul_character", "message 2"),
    ],
)
def test_bad_calls_are_dropped_with_reason_and_place(
    messages: list[Any], reason: str, detail: str
) -> None:
    found = drop({"messages": messages})
    assert (found.reason, detail in found.problem) == (reason, True), found.problem


@pytest.mark.parametrize(
    ("tools", "detail"),
    [
        ("hammer", "tools is no JSON"),
        (7, "tools is int, expected a list"),
        (["f"], "tool 1 is str"),
        ([TOOL, {"type": "web_search"}], "tool 2 is no function, but of the type 'web_search'"),
        ([{"type": "function", "function": {"description": "x"}}], "has the name None"),
        ([{"name": "f", "parameters": [1]}], "tool 1 (f) has parameters of the type list"),
        ([TOOL, FUNCTION], "holds 'get_weather' twice"),
    ],
)
def test_tools_that_are_no_functions_are_dropped(tools: Any, detail: str) -> None:
    found = drop({"prompt": "Hi", "tools": tools})
    assert found.reason == "tools_unreadable"
    assert detail in found.problem
    assert "tools_field" in found.remedy
