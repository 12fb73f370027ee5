"""Verifies that a response calls the tools that the ground truth names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.schemas import SchemaFault, build_validator, find_error
from prefdata.judges.checking.verifier import CHECKED, Verifier, quote
from prefdata.messages.calls import CallFault, load_json, make_call
from prefdata.messages.chat_form import parse_tools

Call = tuple[str, Any]
"""A tool's name, and the arguments."""
Checked = tuple[float | None, str | None, str | None]


class ToolCallsConfig(JudgeConfig):
    kind: Literal["tool_calls"] = "tool_calls"
    match: Literal["exact", "subset", "schema"] = Field(
        "exact",
        description="exact: a call has the expected arguments and no others; subset: it has the "
        "expected ones, and may have others; schema: its arguments are valid by the JSON Schema of "
        "its tool, whatever their values.",
        examples=["subset"],
    )
    ordered: bool = Field(
        False,
        description="Whether several calls have to come in the order of the ground truth.",
        examples=[True],
    )
    partial: bool = Field(
        False,
        description="Reward the share of calls that match, of all that are expected or made; "
        "false: all have to match.",
        examples=[True],
    )


class ToolCallsJudge(Verifier):
    """Compares a response's calls with the ground truth: the JSON of a call, such as
    `{"name": "get_weather", "arguments": {"city": "Paris"}}`, or of a list of calls.

    `[]` says that no tool should be called. Ids don't count. With `match: schema` the expected
    calls need no arguments.
    """

    config: ToolCallsConfig

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        truths = {text: _read_expected(text) for text in responses["ground_truth"].unique()}
        schemas = {text: self._build_validators(text) for text in responses["tools"].unique()}
        columns = responses.select("ground_truth", "tools", "tool_calls").iter_rows()
        # There is no polars expression for this.
        rows = [
            self._check(truths[truth], schemas[tools], calls or ())
            for truth, tools, calls in columns
        ]
        return pl.DataFrame(rows, schema=CHECKED, orient="row")

    def _build_validators(self, tools: str | None) -> dict[str, Any] | str:
        """A validator for each tool's arguments, or why there are none."""
        if self.config.match != "schema":
            return {}
        if tools is None:
            return "no_tools: the prompt has none whose schema calls could be checked by"
        validators: dict[str, Any] = {}
        for tool in parse_tools(tools) or ():
            name, schema = tool["function"]["name"], tool["function"].get("parameters", {})
            validators[name] = build_validator(orjson.dumps(schema).decode(), self.where)
            if isinstance(validators[name], str):
                return f"bad_schema: the schema of {name} {validators[name]}"
        return validators

    def _check(
        self,
        expected: list[Call] | str,
        validators: dict[str, Any] | str,
        calls: Sequence[Mapping[str, str]],
    ) -> Checked:
        for given in (expected, validators):
            if isinstance(given, str):
                return None, given, None
        assert isinstance(expected, list)
        assert isinstance(validators, dict)
        made = [(call["name"], orjson.loads(call["arguments"])) for call in calls]
        try:
            matched = self._count_matches(expected, made, validators)
        except SchemaFault as fault:
            return None, f"bad_schema: {fault}", None
        most = max(len(expected), len(made))
        share = matched / most if most else 1.0
        reward = share if self.config.partial else float(share == 1)
        return reward, None, f"{matched} of {most} calls match; made: {_describe(made)}"

    def _count_matches(
        self, expected: list[Call], made: list[Call], validators: dict[str, Any]
    ) -> int:
        """The number of calls that match, each with an expected call of its own."""
        if self.config.ordered:
            pairs = zip(expected, made, strict=False)
            return sum(self._matches(one, other, validators) for one, other in pairs)
        # With subsets one call may match several expected ones: the most pairs are looked for.
        fits = [
            [n for n, other in enumerate(made) if self._matches(one, other, validators)]
            for one in expected
        ]
        return _count_pairs(fits)

    def _matches(self, expected: Call, made: Call, validators: dict[str, Any]) -> bool:
        (name, arguments), (called, given) = expected, made
        if name != called:
            return False
        if self.config.match == "schema":
            return name in validators and find_error(validators[name], given) is None
        if self.config.match == "subset":
            return all(_equal(given.get(key, _ABSENT), item) for key, item in arguments.items())
        return _equal(given, arguments)


_ABSENT = object()


def _read_expected(ground_truth: str) -> list[Call] | str:
    """The expected calls, or why the ground truth names none."""
    try:
        found = load_json(ground_truth)
        calls = [_read_call(call) for call in (found if isinstance(found, list) else [found])]
    except CallFault as fault:
        return f"bad_ground_truth: no call of name and arguments: {fault}"
    return calls


def _read_call(call: Any) -> Call:
    if not isinstance(call, dict):
        raise CallFault(f"it is {type(call).__name__}, expected an object")
    inner = call.get("function", call)
    if not isinstance(inner, dict):
        raise CallFault(f"its function is {type(inner).__name__}, expected an object")
    read = make_call(inner.get("name"), inner.get("arguments"))
    return str(read["name"]), orjson.loads(str(read["arguments"]))


def _count_pairs(fits: Sequence[Sequence[int]]) -> int:
    """The size of a largest matching, where `fits` lists what each item may be paired with."""
    taken: dict[int, int] = {}

    def place(item: int, seen: set[int]) -> bool:
        for other in fits[item]:
            if other not in seen:
                seen.add(other)
                if other not in taken or place(taken[other], seen):
                    taken[other] = item
                    return True
        return False

    return sum(place(item, set()) for item in range(len(fits)))


def _equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _describe(calls: Sequence[Call]) -> str:
    written = ", ".join(f"{name}({orjson.dumps(given).decode()})" for name, given in calls)
    return quote(written) if calls else "none"
