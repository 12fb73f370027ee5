"""Calls that models write into their text: the formats, what remains, and what can't be read."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.messages.calls import CallFault, make_call
from prefdata.messages.tool_calls import (
    CallFormat,
    detect_call_format,
    split_calls,
    take_calls,
)

PARIS = {"id": None, "name": "get_weather", "arguments": '{"city":"Paris","unit":"C"}'}
ROME = {"id": None, "name": "get_weather", "arguments": '{"city":"Rome"}'}
BODY = '{"name": "get_weather", "arguments": {"unit": "C", "city": "Paris"}}'
OTHER = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
LLAMA = BODY.replace("arguments", "parameters")
HARMONY = (
    "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
    '{"unit": "C", "city": "Paris"}<|call|>'
)


def split(text: str, call_format: CallFormat) -> tuple[str, Any, str | None]:
    rest, calls, fault = split_calls(pl.Series([text]), call_format).row(0)
    return rest, calls, fault


@pytest.mark.parametrize(
    ("call_format", "text", "rest", "calls"),
    [
        ("hermes", f"<tool_call>\n{BODY}\n</tool_call>", "", [PARIS]),
        (
            "hermes",
            f"Let me look.\n\n<tool_call>\n{BODY}\n</tool_call>\n<tool_call>{OTHER}</tool_call>",
            "Let me look.",
            [PARIS, ROME],
        ),
        (
            "hermes",
            '<tool_call>{"name": "f"}</tool_call>',
            "",
            [{**ROME, "name": "f", "arguments": "{}"}],
        ),
        ("hermes", " No call. ", " No call. ", None),
        ("mistral", f"[TOOL_CALLS] [{BODY}, {OTHER}]", "", [PARIS, ROME]),
        (
            "mistral",
            '[TOOL_CALLS] [{"name": "f", "arguments": {}, "id": "abc123def"}]',
            "",
            [{"id": "abc123def", "name": "f", "arguments": "{}"}],
        ),
        (
            "mistral",
            'Hm.[TOOL_CALLS]get_weather[ARGS]{"unit": "C", "city": "Paris"}'
            '[TOOL_CALLS]get_weather[CALL_ID]x1[ARGS]{"city": "Rome"}',
            "Hm.",
            [PARIS, {**ROME, "id": "x1"}],
        ),
        ("mistral", f"[{BODY}]", "", [PARIS]),
        ("mistral", 'get_weather{"city": "Rome"}', "", [ROME]),
        ("mistral", "get_weather {soon}", "get_weather {soon}", None),
        ("llama3", LLAMA, "", [PARIS]),
        ("llama3", f"<|python_tag|>{LLAMA}; {OTHER}", "", [PARIS, ROME]),
        ("llama3", f"[{LLAMA}, {OTHER}]", "", [PARIS, ROME]),
        ("llama3", '{"name": "Ann", "age": 3}', '{"name": "Ann", "age": 3}', None),
        ("llama3", "{not JSON", "{not JSON", None),
        ("harmony", HARMONY, "", [PARIS]),
        (
            "harmony",
            " to=functions.get_weather<|channel|>commentary json<|message|>"
            '{"unit": "C", "city": "Paris"}',
            "",
            [PARIS],
        ),
        (
            "harmony",
            f"<|channel|>commentary<|message|>Let me look.<|end|><|start|>assistant{HARMONY}",
            "Let me look.",
            [PARIS],
        ),
        ("harmony", "It is warm.", "It is warm.", None),
    ],
)
def test_calls_in_each_format(call_format: CallFormat, text: str, rest: str, calls: Any) -> None:
    assert split(text, call_format) == (rest, calls, None)


@pytest.mark.parametrize(
    ("call_format", "text", "fault"),
    [
        ("hermes", "<tool_call>{city</tool_call>", "it is no JSON"),
        ("hermes", "<tool_call>[1]</tool_call>", "it is list, expected an object"),
        ("hermes", '<tool_call>{"arguments": {}}</tool_call>', "its name is None"),
        (
            "hermes",
            '<tool_call>{"name": "f", "arguments": [1]}</tool_call>',
            "its arguments are list, expected an object",
        ),
        ("hermes", f"<tool_call>{BODY}", "<tool_call> is not closed"),
        ("hermes", f"<tool_call>{BODY}</tool_call><tool_call>{{", "<tool_call> is not closed"),
        ("mistral", "[TOOL_CALLS] soon", "behind [TOOL_CALLS] stands no call"),
        ("mistral", "[TOOL_CALLS][]", "lists no calls"),
        ("mistral", "[TOOL_CALLS]f[ARGS]{", "no JSON"),
        ("llama3", "<|python_tag|>print(1)", "behind <|python_tag|> stands no call"),
        ("llama3", '{"name": "f", "parameters": {', "it is no JSON"),
        ("harmony", HARMONY.replace("}", ""), "its arguments are no JSON"),
        ("harmony", "<|channel|>commentary to=functions.f", "it calls no function"),
    ],
)
def test_what_is_no_call_is_a_fault_and_keeps_its_text(
    call_format: CallFormat, text: str, fault: str
) -> None:
    rest, calls, found = split(text, call_format)
    assert (rest, calls) == (text, None)
    assert found is not None
    assert fault in found


@pytest.mark.parametrize(
    ("template", "call_format"),
    [
        ("{{ '<tool_call>' }}", "hermes"),
        ("{{ '[TOOL_CALLS]' }}", "mistral"),
        ("{{- 'Environment: ipython' }}", "llama3"),
        ("<|python_tag|>", "llama3"),
        ("<|channel|> to=functions.", "harmony"),
        ("{{ message.content }}", None),
    ],
)
def test_the_format_is_known_from_the_chat_template(template: str, call_format: Any) -> None:
    assert detect_call_format(template) == call_format


def take(text: str | None, tools: str | None = "[]", **columns: Any) -> dict[str, Any]:
    results = pl.DataFrame(
        {"text": [text], "finish_reason": ["stop"], **{n: [v] for n, v in columns.items()}},
        schema_overrides={"text": pl.String},
    )
    if "tool_calls" not in columns:
        results = results.with_columns(tool_calls=pl.lit(None, dtype=pl.List(pl.Struct(TYPES))))
    return take_calls(results, pl.Series([tools], dtype=pl.String), "hermes").row(0, named=True)


TYPES = {"id": pl.String, "name": pl.String, "arguments": pl.String}
CALL_TEXT = f"Hm.\n<tool_call>{BODY}</tool_call>"


def test_a_result_is_taken_apart_and_keeps_the_whole() -> None:
    taken = take(CALL_TEXT)
    assert taken["text"] == "Hm."
    assert taken["tool_calls"] == [PARIS]
    assert taken["raw_text"] == CALL_TEXT
    assert taken["call_fault"] is None


def test_the_whole_with_its_thoughts_stays() -> None:
    assert take(CALL_TEXT, raw_text="<think>Hm</think>...")["raw_text"] == "<think>Hm</think>..."


def test_without_tools_marks_are_text() -> None:
    taken = take(CALL_TEXT, tools=None)
    assert (taken["text"], taken["tool_calls"], taken["raw_text"]) == (CALL_TEXT, None, None)


def test_a_failed_request_and_a_plain_response_stay_as_they_are() -> None:
    assert take(None)["text"] is None
    taken = take("No.")
    assert (taken["text"], taken["raw_text"], taken["call_fault"]) == ("No.", None, None)


def test_a_servers_calls_get_sorted_arguments_or_a_fault() -> None:
    call = {"id": "x", "name": "f", "arguments": '{"b": 1, "a": 2}'}
    assert take("", tool_calls=[call])["tool_calls"] == [{**call, "arguments": '{"a":2,"b":1}'}]
    bad = take("", tool_calls=[{**call, "arguments": "{b"}])
    assert "its arguments are no JSON" in bad["call_fault"]


def test_a_call_that_was_cut_off_says_so() -> None:
    fault = take("<tool_call>{", finish_reason="length")["call_fault"]
    assert fault.startswith("cut off at max_tokens: <tool_call> is not closed")


@given(st.lists(st.text() | st.just(CALL_TEXT) | st.just("<tool_call>{"), max_size=6))
def test_texts_without_calls_come_back_and_rows_keep_their_order(texts: list[str]) -> None:
    found = split_calls(pl.Series(texts, dtype=pl.String), "hermes")
    for text, (rest, calls, fault) in zip(texts, found.iter_rows(), strict=True):
        if "<tool_call>" not in text:
            assert (rest, calls, fault) == (text, None, None)
        else:
            assert (calls is None) == (fault is not None)


json_objects = st.dictionaries(
    st.text(max_size=3), st.none() | st.booleans() | st.text(max_size=3), max_size=3
)


@given(st.text("abc", min_size=1), json_objects)
def test_arguments_have_one_form(name: str, arguments: dict[str, Any]) -> None:
    call = make_call(name, arguments)
    assert make_call(name, call["arguments"]) == call
    assert make_call(name, dict(reversed(arguments.items()))) == call


@pytest.mark.parametrize("arguments", [7, "7", "[]", "x", {1: 2}, [{}]])
def test_arguments_are_an_object(arguments: Any) -> None:
    with pytest.raises(CallFault, match="arguments"):
        make_call("f", arguments)
