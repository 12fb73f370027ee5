"""Tools, calls and their results in each public form, as a row of such a dataset has them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from prefdata.errors import DropRecord
from prefdata.sources.frames import SourceRow
from prefdata.sources.prompts import PromptsConfig, PromptsSource
from prefdata.sources.rows.conversations import Turn

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "The weather now.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
NORMAL = orjson.dumps([TOOL], option=orjson.OPT_SORT_KEYS).decode()
ASK = "Is it warm in Paris?"
USER = {"role": "user", "content": ASK}


def called(call_id: str | None = None, content: str = "", thoughts: str | None = None) -> Turn:
    call = {"id": call_id, "name": "get_weather", "arguments": '{"city":"Paris","unit":"C"}'}
    return Turn("assistant", content, thoughts, [call])


def read(row: dict[str, Any], **settings: Any) -> SourceRow:
    source = PromptsSource(PromptsConfig(path="made-up.jsonl", **settings))
    return source.parse(row, 10_000)


OPENAI = {
    "tools": [TOOL],
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": ASK}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {
                        "name": "get_weather",
                        "arguments": '{"unit": "C", "city": "Paris"}',
                    },
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 21}'},
    ],
}
HERMES = {
    "tools": orjson.dumps([TOOL]).decode(),
    "conversations": [
        {
            "from": "system",
            "value": "You are a function calling AI model. You are provided with function "
            "signatures within <tools> </tools> XML tags. Don't make assumptions.\n<tools>\n"
            f"{orjson.dumps([TOOL]).decode()}\n</tools>\nFor each function call return a JSON "
            "object within <tool_call> </tool_call> tags with the following schema:\n<tool_call>\n"
            "{'arguments': <args-dict>, 'name': <function-name>}\n</tool_call>\n",
        },
        {"from": "human", "value": ASK},
        {
            "from": "gpt",
            "value": "Let me look.\n<tool_call>\n{'arguments': {'unit': 'C', 'city': 'Paris'}, "
            "'name': 'get_weather'}\n</tool_call>",
        },
        {"from": "tool", "value": '<tool_response>\n{"degrees": 21}\n</tool_response>\n'},
    ],
}
SHAREGPT = {
    "tools": orjson.dumps([FUNCTION]).decode(),
    "conversations": [
        {"from": "human", "value": ASK},
        {
            "from": "function_call",
            "value": '{"name": "get_weather", "arguments": {"unit": "C", "city": "Paris"}}',
        },
        {"from": "observation", "value": '{"degrees": 21}'},
    ],
}
ANTHROPIC = {
    "system": "Be brief.",
    "tools": [
        {
            "name": "get_weather",
            "description": "The weather now.",
            "input_schema": SCHEMA,
            "cache_control": {"type": "ephemeral"},
        }
    ],
    "messages": [
        {"role": "user", "content": ASK},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I have a tool.", "signature": "c2ln"},
                {"type": "text", "text": "Let me look."},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "get_weather",
                    "input": {"unit": "C", "city": "Paris"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": '{"degrees": 21}'}],
                },
                {"type": "text", "text": "In one word."},
            ],
        },
    ],
}


def test_openais_form() -> None:
    row = read(OPENAI)
    assert row.turns == [
        Turn("system", "Be brief."),
        Turn("user", ASK),
        called("call_1"),
        Turn("tool", '{"degrees": 21}', tool_call_id="call_1"),
    ]
    assert row.tools == NORMAL


def test_hermes_form() -> None:
    row = read(HERMES, messages_field="conversations")
    assert row.turns == [
        Turn("user", ASK),
        called(content="Let me look."),
        Turn("tool", '{"degrees": 21}'),
    ]
    assert row.tools == NORMAL


def test_hermes_tools_stand_in_the_system_turn_alone() -> None:
    row = {"conversations": HERMES["conversations"]}
    assert read(row, messages_field="conversations") == read(HERMES, messages_field="conversations")


def test_what_a_system_turn_says_besides_its_tools_stays() -> None:
    system = (
        "You are Ann.\n\n# Tools\n\nYou may call functions.\n\nSignatures within <tools></tools> "
        f"XML tags:\n<tools>\n{orjson.dumps(TOOL).decode()}\n</tools>\n\nFor each call return "
        '<tool_call></tool_call>:\n<tool_call>\n{"name": <function-name>}\n</tool_call>\n\nHurry.'
    )
    messages = [{"role": "system", "content": system}, {"role": "user", "content": ASK}]
    row = read({"messages": messages})
    assert row.turns == [Turn("system", "You are Ann.\n\nHurry."), Turn("user", ASK)]
    assert row.tools == NORMAL


@pytest.mark.parametrize("text", ["Use <tools> well.", "<tools></tools>", "<tools>hammer</tools>"])
def test_a_system_turn_that_only_speaks_of_tools_stays(text: str) -> None:
    row = read(
        {"messages": [{"role": "system", "content": text}, {"role": "user", "content": ASK}]}
    )
    assert row.turns[0] == Turn("system", text)
    assert row.tools is None


def test_sharegpts_form() -> None:
    row = read(SHAREGPT, messages_field="conversations")
    assert row.turns == [Turn("user", ASK), called(), Turn("tool", '{"degrees": 21}')]
    assert row.tools == NORMAL


def test_anthropics_form() -> None:
    row = read(ANTHROPIC)
    assert row.turns == [
        Turn("system", "Be brief."),
        Turn("user", ASK),
        called("toolu_1", "Let me look.", "I have a tool."),
        Turn("tool", '{"degrees": 21}', tool_call_id="toolu_1"),
        Turn("user", "In one word."),
    ]
    assert row.tools == NORMAL


def test_a_call_alone_makes_neither_of_the_forms_marks_a_call() -> None:
    text = 'Write <tool_call>{"name": "f"}</tool_call>.'
    messages = [
        {"role": "user", "content": ASK},
        {"role": "assistant", "content": text},
        {"role": "user", "content": "Why?"},
    ]
    assert read({"messages": messages}).turns[1] == Turn("assistant", text)


def test_older_calls_and_results_without_ids_and_of_several_calls() -> None:
    two = [{"name": "f", "arguments": {"n": 1}}, {"name": "f", "arguments": {"n": 2}}]
    turns = read(
        {
            "messages": [
                {"role": "user", "content": ASK},
                {"role": "assistant", "content": "", "function_call": {**two[0], "arguments": ""}},
                {"role": "function", "name": "f", "content": ""},
                {"role": "assistant", "content": "Two more.", "tool_calls": two},
                {"role": "tool", "content": "both"},
            ]
        }
    ).turns
    assert turns[1].tool_calls == [{"id": None, "name": "f", "arguments": "{}"}]
    assert turns[2] == Turn("tool", "", name="f")
    assert [call["arguments"] for call in turns[3].tool_calls or ()] == ['{"n":1}', '{"n":2}']


def test_results_without_ids_take_those_of_the_calls_in_order() -> None:
    calls = [{"id": c, "function": {"name": "f", "arguments": "{}"}} for c in ("x", "y")]
    messages = [
        {"role": "user", "content": ASK},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
    ]
    assert [turn.tool_call_id for turn in read({"messages": messages}).turns[2:]] == ["x", "y"]


def test_nulls_that_parquet_fills_in_are_left_out_of_objects_alone() -> None:
    arguments = {"city": "Paris", "zone": None}
    written = orjson.dumps(arguments).decode()
    calls = [{"id": None, "function": {"name": "f", "arguments": a}} for a in (arguments, written)]
    messages = [
        {"role": "user", "content": ASK, "tool_calls": None},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "1"},
    ]
    holey = {"type": "function", "function": {**FUNCTION, "strict": None}}
    row = read({"messages": messages, "tools": [holey]})
    found = [call["arguments"] for call in row.turns[1].tool_calls or ()]
    assert found == ['{"city":"Paris"}', '{"city":"Paris","zone":null}']
    assert row.tools == NORMAL


@pytest.mark.parametrize("tools", [None, [], "", " ", "[]"])
def test_no_tools(tools: Any) -> None:
    assert read({"prompt": "Hi", "tools": tools}) == read({"prompt": "Hi"})


def test_tools_and_system_are_read_from_the_fields_that_the_settings_name() -> None:
    row = {"prompt": "Hi", "tools": "hammer", "functions": [TOOL], "system": "Be brief."}
    assert read(row, tools_field="functions").tools == NORMAL
    assert read(row, tools_field=None).turns == [Turn("user", "Hi")]
    with_system = read(row, tools_field=None, system_field="system")
    assert with_system.turns == [Turn("system", "Be brief."), Turn("user", "Hi")]


def test_a_call_of_a_tool_that_is_not_offered_is_kept() -> None:
    calls = [{"id": "a", "function": {"name": "dial", "arguments": "{}"}}]
    messages = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "No such tool.", "tool_call_id": "a"},
    ]
    row = read({"messages": messages, "tools": [TOOL]})
    assert [call["name"] for call in row.turns[1].tool_calls or ()] == ["dial"]


def test_length_counts_calls_thoughts_and_tools() -> None:
    size = sum(len(t.content) for t in read(ANTHROPIC).turns) + len(NORMAL)
    source = PromptsSource(PromptsConfig(path="made-up.jsonl"))
    with pytest.raises(DropRecord) as caught:
        source.parse(ANTHROPIC, size)
    assert caught.value.reason == "too_long"


def test_plain_rows_have_the_ids_that_they_always_had() -> None:
    messages = [USER, {"role": "assistant", "content": "No."}, {"role": "user", "content": "Why?"}]
    assert read({"prompt": "Hi"}).prompt_id() == "6098a126a4e487f0367c1493ff43c43f"
    assert read({"messages": messages}).prompt_id() == "ebf65091eb4cb985ae1ea567d0cf75ad"
