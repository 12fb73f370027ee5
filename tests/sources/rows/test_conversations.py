"""One raw row: the conversation it becomes, or the reason why it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.errors import DropRecord
from prefdata.sources.prompts import PromptsConfig, PromptsSource
from prefdata.sources.rows.conversations import Turn, normalize
from prefdata.sources.rows.messages import read_messages

USER = {"role": "user", "content": "Hi"}
ASSISTANT = {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}


def conversation(row: Any, max_chars: int = 100, **settings: str) -> list[Turn]:
    source = PromptsSource(PromptsConfig(path="made-up.jsonl", **settings))
    return source.parse(row, max_chars).turns


def drop(row: Any, max_chars: int = 100) -> DropRecord:
    with pytest.raises(DropRecord) as caught:
        conversation(row, max_chars)
    return caught.value


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ({"prompt": "Hi"}, [Turn("user", "Hi")]),
        ({"prompt": [USER]}, [Turn("user", "Hi")]),
        ({"messages": [USER], "prompt": "not this one"}, [Turn("user", "Hi")]),
        ({"messages": None, "prompt": "Hi"}, [Turn("user", "Hi")]),
        (
            {"messages": [SYSTEM, USER, ASSISTANT, USER]},
            [
                Turn("system", "Be brief."),
                Turn("user", "Hi"),
                Turn("assistant", "Hello"),
                Turn("user", "Hi"),
            ],
        ),
        (
            {
                "messages": [
                    {"from": "human", "value": "Hi"},
                    {"from": "gpt", "value": "Hello"},
                    {"role": "prompter", "content": "Bye"},
                ]
            },
            [Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Bye")],
        ),
    ],
)
def test_good_rows_become_turns(row: dict[str, Any], turns: list[tuple[str, str]]) -> None:
    assert conversation(row) == turns


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (7, "not_an_object", "found int"),
        (None, "not_an_object", "found NoneType"),
        ([USER], "not_an_object", "found list"),
        ({}, "missing_field", "no fields"),
        ({"text": "Hi", "id": 1}, "missing_field", "found: id, text"),
        ({"prompt": None}, "missing_field", "found: prompt"),
        ({"prompt": 7}, "wrong_type", "prompt is int"),
        ({"prompt": USER}, "wrong_type", "prompt is dict"),
        ({"messages": "Hi"}, "wrong_type", "messages is str"),
        ({"messages": ["Hi"]}, "wrong_type", "messages, message 1 is no object"),
        ({"messages": [{"role": "user"}]}, "wrong_type", "message 1 has content NoneType"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "images_unsupported",
            "message 1, part 1 is of the type 'image_url': prefdata reads text only",
        ),
        ({"messages": []}, "empty_conversation", "no message"),
        ({"prompt": []}, "empty_conversation", "no message"),
        ({"prompt": ""}, "empty_message", "message 1 (user)"),
        ({"prompt": " \r\n\t"}, "empty_message", "message 1 (user)"),
        (
            {"messages": [USER, {"role": "assistant", "content": " "}, USER]},
            "empty_message",
            "message 2 (assistant)",
        ),
        ({"prompt": "a\0b"}, "nul_character", "message 1 (user)"),
        ({"prompt": "ab\ud800"}, "invalid_unicode", "lone surrogate at 2"),
        ({"messages": [{"content": "Hi"}]}, "unknown_role", "role None"),
        ({"messages": [{"role": 3, "content": "Hi"}]}, "unknown_role", "role 3"),
        (
            {"messages": [{"role": "tool", "content": "Hi"}]},
            "result_without_call",
            "message 1 (tool) is the result of a call without an id",
        ),
        (
            {"messages": [USER, USER]},
            "roles_out_of_turn",
            "message 2 is user, expected assistant",
        ),
        (
            {"messages": [SYSTEM, USER, ASSISTANT, ASSISTANT, USER]},
            "roles_out_of_turn",
            "message 4 is assistant, expected user",
        ),
        ({"messages": [ASSISTANT, USER]}, "roles_out_of_turn", "message 1 is assistant"),
        ({"messages": [USER, SYSTEM, USER]}, "roles_out_of_turn", "message 2 is system"),
        ({"messages": [SYSTEM, SYSTEM, USER]}, "roles_out_of_turn", "message 2 is system"),
        ({"messages": [USER, ASSISTANT]}, "ends_without_user", "ends with a user's message"),
        ({"messages": [SYSTEM]}, "ends_without_user", "ends with a user's message"),
    ],
)
def test_bad_rows_are_dropped_with_reason_and_place(row: Any, reason: str, detail: str) -> None:
    found = drop(row)
    assert found.reason == reason
    assert detail in found.problem


def test_a_missing_field_names_the_setting_to_change() -> None:
    assert "prompt_field or messages_field" in drop({"question": "Hi"}).remedy


def test_the_fields_are_those_that_the_source_names() -> None:
    named = {"prompt_field": "question", "messages_field": "chat"}
    assert conversation({"question": "Hi", "prompt": "no"}, **named) == [Turn("user", "Hi")]
    assert conversation({"chat": [USER], "messages": []}, **named) == [Turn("user", "Hi")]


def test_length_counts_all_turns_and_the_limit_itself_is_allowed() -> None:
    row = {"messages": [USER, ASSISTANT, USER]}
    assert len(conversation(row, 9)) == 3
    found = drop(row, 8)
    assert found.reason == "too_long"
    assert "9 characters, max_prompt_chars is 8" in found.problem
    assert "ingest.max_prompt_chars" in found.remedy


@pytest.mark.parametrize("text", ["Hi\r\n", "  Hi", "Hi\n\n", "\rHi"])
def test_line_ends_and_outer_blanks_do_not_make_another_prompt(text: str) -> None:
    assert normalize(text) == "Hi"


def test_composed_and_decomposed_letters_are_one_prompt() -> None:
    assert normalize("cafe\u0301") == normalize("caf\u00e9") == "caf\u00e9"


@given(st.text())
def test_normalizing_twice_changes_nothing(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "messages", "prompt", "other"]),
            inner | st.sampled_from(["system", "user", "assistant", "human", "tool"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(values)
def test_any_value_is_a_valid_conversation_or_dropped(value: Any) -> None:
    try:
        turns = conversation(value, 50)
    except DropRecord as reject:
        assert reject.reason
        assert reject.problem
        return
    assert turns[-1][0] == "user"
    spoken = turns[1:] if turns[0][0] == "system" else turns
    assert [turn.role for turn in spoken] == ["user", "assistant"] * (len(spoken) // 2) + ["user"]
    assert all(turn.content == turn.content.strip() != "" for turn in turns)
    assert all("\0" not in turn.content for turn in turns)
    assert sum(len(turn.content) for turn in turns) <= 50
    assert all(turn.content.encode() for turn in turns)


@given(
    st.sampled_from(["system", "developer", "user", "assistant", "human", "tool", "nobody"]),
    st.text(st.sampled_from("a<tool_cal>/ \n"), max_size=30) | st.just("<tool_call>{}</tool_call>"),
    st.booleans(),
)
def test_a_message_reads_the_same_with_a_null_beside_it(role: str, text: str, marked: bool) -> None:
    def read(**beside: None) -> list[Turn] | str:
        try:
            message = {"role": role, "content": text, **beside}
            return read_messages([message], "messages", marked)
        except DropRecord as reason:
            return f"{reason.reason}: {reason.problem}"

    assert read() == read(name=None)
