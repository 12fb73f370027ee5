"""The verifier of calls: names and arguments, exactly, as a subset, or by the tools' schemas."""

from __future__ import annotations

from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judges.panels import build

from prefdata.messages.columns import CALLS

Call = tuple[str, dict[str, Any]]

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = orjson.dumps(
    [
        {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
        {"type": "function", "function": {"name": "stop"}},
    ]
).decode()
PARIS: Call = ("weather", {"city": "Paris"})
ROME: Call = ("weather", {"city": "Rome"})
LONG: Call = ("weather", {"city": "Paris", "days": 3})


def write(*calls: Call) -> str:
    return orjson.dumps([{"name": name, "arguments": given} for name, given in calls]).decode()


def check(
    made: list[Call] | None, truth: str, tools: str | None = TOOLS, **settings: Any
) -> tuple[float | None, str | None, str | None]:
    """(reward, why there is none, trace) of a response that makes these calls."""
    calls = made and [
        {"id": str(n), "name": name, "arguments": orjson.dumps(given).decode()}
        for n, (name, given) in enumerate(made)
    ]
    responses = pl.DataFrame(
        {"text": [""], "tool_calls": [calls], "tools": [tools], "ground_truth": [truth]},
        schema_overrides={"tool_calls": CALLS, "tools": pl.String},
    )
    reward, unscored, trace = build("tool_calls", **settings).verify(responses).row(0)
    return reward, unscored, trace


@pytest.mark.parametrize(
    ("made", "truth", "settings", "wanted"),
    [
        ([PARIS], [PARIS], {}, 1.0),
        ([ROME], [PARIS], {}, 0.0),
        ([("stop", {"city": "Paris"})], [PARIS], {}, 0.0),
        ([LONG], [PARIS], {}, 0.0),
        ([LONG], [PARIS], {"match": "subset"}, 1.0),
        ([PARIS], [LONG], {"match": "subset"}, 0.0),
        ([ROME], [("weather", {})], {"match": "schema"}, 1.0),
        ([("weather", {"days": 3})], [("weather", {})], {"match": "schema"}, 0.0),
        ([("weather", {"city": 3})], [PARIS], {"match": "schema"}, 0.0),
        ([("dial", {})], [("dial", {})], {"match": "schema"}, 0.0),
        ([("stop", {"now": True})], [("stop", {})], {"match": "schema"}, 1.0),
        ([ROME, PARIS], [PARIS, ROME], {}, 1.0),
        ([ROME, PARIS], [PARIS, ROME], {"ordered": True}, 0.0),
        ([PARIS, ROME], [PARIS, ROME], {"ordered": True}, 1.0),
        ([PARIS, ("stop", {})], [PARIS, ROME], {"partial": True}, 0.5),
        ([PARIS, ROME], [PARIS], {}, 0.0),
        ([PARIS, ROME], [PARIS], {"partial": True}, 0.5),
        ([PARIS, PARIS], [PARIS, ROME], {"partial": True}, 0.5),
        # The first subset fits both calls, the second only the first call.
        ([PARIS, LONG], [("weather", {}), PARIS], {"match": "subset"}, 1.0),
        ([LONG, ROME], [("weather", {}), LONG], {"match": "subset"}, 1.0),
        (None, [PARIS], {}, 0.0),
        (None, [], {}, 1.0),
        ([PARIS], [], {}, 0.0),
        ([("f", {"n": True})], [("f", {"n": 1})], {}, 0.0),
        ([("f", {"n": 1.0})], [("f", {"n": 1})], {}, 1.0),
        ([("f", {"n": [1, {"a": None}]})], [("f", {"n": [1, {"a": None}]})], {}, 1.0),
    ],
)
def test_rewards(
    made: list[Call] | None, truth: list[Call], settings: dict[str, Any], wanted: float
) -> None:
    assert check(made, write(*truth), **settings)[:2] == (wanted, None)


@pytest.mark.parametrize(
    "truth",
    [
        '{"name": "weather", "arguments": {"city": "Paris"}}',
        '{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
        '{"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}',
    ],
)
def test_a_ground_truth_may_be_one_call_in_any_form(truth: str) -> None:
    reward, _, trace = check([PARIS], truth)
    assert reward == 1.0
    assert trace is not None
    assert trace.startswith("1 of 1 calls match; made: 'weather(")


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        ("Paris", "it is no JSON"),
        ("[1]", "it is int, expected an object"),
        ('{"arguments": {}}', "its name is None"),
        ('{"name": "f", "arguments": [1]}', "its arguments are list"),
        ('{"function": "f"}', "its function is str"),
    ],
)
def test_a_ground_truth_that_names_no_calls_leaves_the_response_unscored(
    truth: str, reason: str
) -> None:
    reward, unscored, _ = check([PARIS], truth)
    assert reward is None
    assert unscored is not None
    assert unscored.startswith("bad_ground_truth: ")
    assert reason in unscored


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"type": "thing"}, "bad_schema: the schema of f is no JSON Schema"),
        ({"$ref": "http://nowhere.example/x"}, "bad_schema: "),
    ],
)
def test_tools_whose_schema_is_none_leave_the_response_unscored(
    parameters: Any, reason: str
) -> None:
    tools = orjson.dumps([{"function": {"name": "f", "parameters": parameters}}]).decode()
    reward, unscored, _ = check([("f", {})], write(("f", {})), tools, match="schema")
    assert reward is None
    assert unscored is not None
    assert unscored.startswith(reason)


def test_a_prompt_without_tools_has_no_schema_to_check_by() -> None:
    reward, unscored, _ = check([PARIS], write(PARIS), None, match="schema")
    assert (reward, unscored and unscored.partition(":")[0]) == (None, "no_tools")
    assert check([PARIS], write(PARIS), None)[0] == 1.0


calls = st.lists(st.sampled_from([PARIS, ROME, LONG, ("stop", {})]), max_size=4)


@given(calls, calls, st.sampled_from(["exact", "subset"]), st.randoms())
def test_without_order_no_order_counts(
    made: list[Call], truth: list[Call], match: str, random: Any
) -> None:
    settings = {"match": match, "partial": True}
    wanted = check(made, write(*truth), **settings)[0]
    random.shuffle(made)
    random.shuffle(truth)
    assert check(made, write(*truth), **settings)[0] == wanted
    assert check(made, write(*made), **settings)[0] == 1.0
