"""Responses that came with a row, as messages with calls and thoughts."""

from __future__ import annotations

from typing import Any

import pytest
from sources.rows.test_tool_forms import ASK, NORMAL, TOOL, USER, read

from prefdata.files.rows import Row
from prefdata.sources.preferences import PreferencesConfig, PreferencesSource
from prefdata.sources.rows.conversations import Turn
from prefdata.sources.rows.preference_forms.detect import detect_form

CALLING_SIDE = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "x", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}],
}
ANSWER = {"role": "assistant", "content": "Yes.", "reasoning_content": "Paris is warm."}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [USER], "chosen": [CALLING_SIDE], "rejected": [ANSWER]},
        {"prompt": ASK, "chosen": CALLING_SIDE, "rejected": ANSWER},
        {"chosen": [USER, CALLING_SIDE], "rejected": [USER, ANSWER]},
        {
            "input": {"messages": [USER], "tools": [TOOL]},
            "preferred_output": [CALLING_SIDE],
            "non_preferred_output": [ANSWER],
        },
    ],
)
def test_sides_of_a_preference_keep_calls_and_thoughts(row: dict[str, Any]) -> None:
    given = row if "input" in row else {**row, "tools": [TOOL]}
    pair = detect_form(given, "d", {}).read(given)
    assert pair.prompt == [Turn("user", ASK)]
    assert pair.tools == NORMAL
    call = {"id": "x", "name": "get_weather", "arguments": '{"city":"Rome"}'}
    assert pair.chosen == Turn("assistant", "", None, [call])
    assert pair.rejected == Turn("assistant", "Yes.", "Paris is warm.")


def test_responses_that_differ_in_their_calls_or_thoughts_alone_are_two() -> None:
    source = PreferencesSource(PreferencesConfig(path="made-up.jsonl"))
    thinking = {**ANSWER, "reasoning_content": "Paris is cold."}
    row = {"prompt": [USER], "chosen": ANSWER, "rejected": thinking}
    source.__dict__["form"] = detect_form(row, "d", {})
    (record,) = source.list_records(Row(1, None, row))
    read_row = source.parse(record.value, 1000)
    ids = {response["response_id"] for response in read_row.responses or ()}
    assert len(ids) == 2
    assert read_row.annotation is not None
    assert set(read_row.annotation["responses"]) == ids


def test_annotated_responses_may_be_messages() -> None:
    row = {
        "messages": [USER],
        "tools": [TOOL],
        "responses": [CALLING_SIDE, "Yes."],
        "ranking": [1, 2],
        "annotator": "ann",
    }
    read_row = read(row, annotations={"kind": "ranking"})
    calls = {r["text"]: r["tool_calls"] for r in read_row.responses or ()}
    assert calls["Yes."] is None
    assert [call["name"] for call in calls[""]] == ["get_weather"]
