"""Verifies that a response calls the tools that the ground truth names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.bounded import Checked, check_rows
from prefdata.judges.checking.faults import quote
from prefdata.judges.checking.verifier import CHECKED, Verifier
from prefdata.messages.calls import CallFault, load_json, make_call
from prefdata.messages.chat_form import parse_tools
from prefdata.parts.numbers import CpuSeconds

Call = tuple[str, Any]
"""A tool's name, and the arguments."""
Calls = Sequence[Mapping[str, str]]
"""A response's calls, in the columns of `ToolCall`."""


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
    seconds: CpuSeconds = Field(
        2,
        description="CPU seconds to check one call by its schema; beyond them the response is "
        "Unscored.",
        examples=[5],
    )


class ToolCallsJudge(Verifier):
    """Compares a response's calls with the ground truth: the JSON of a call, such as
    `{"name": "get_weather", "arguments": {"city": "Paris"}}`, or of a list of calls.

    `[]` says that no tool should be called. Ids don't count. With `match: schema` the expected
    calls need no arguments.
    """

    config: ToolCallsConfig

    def setup(self) -> None:
        if self.config.match != "schema":
            return
        try:
            import jsonschema  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                f"{self.where}: {error}", "Install the extra: pip install prefdata[verifiers]"
            ) from error

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        truths = {text: _read_expected(text) for text in responses["ground_truth"].unique()}
        made = [calls or () for calls in responses["tool_calls"].to_list()]
        valid = self._check_schemas(responses["tools"].to_list(), made)
        columns = zip(responses["ground_truth"], made, valid, strict=True)
        # There is no polars expression for this.
        rows = [self._check(truths[truth], calls, each) for truth, calls, each in columns]
        return pl.DataFrame(rows, schema=CHECKED, orient="row")

    def _check_schemas(self, tools: list[str | None], made: list[Calls]) -> list[list[bool] | str]:
        """Whether each call of each response is valid by its tool's schema, or why that is not
        known; nothing where schemas don't count."""
        if self.config.match != "schema":
            return [[] for _ in made]
        from prefdata.judges.checking.json_schemas import check_json

        schemas = {text: _read_schemas(text) for text in set(tools)}
        asked = [
            (
                schemas[text].get(call["name"], "false"),
                call["arguments"],
                f"the schema of {call['name']}",
            )
            for text, calls in zip(tools, made, strict=True)
            for call in calls
        ]
        # A prompt's schemas may be anything, as ground truths may.
        checked = iter(check_rows(check_json, asked, self.config.seconds))
        valid: list[list[bool] | str] = []
        for text, calls in zip(tools, made, strict=True):
            found = [next(checked) for _ in calls]
            fault = next((unscored for _, unscored, _ in found if unscored is not None), None)
            if text is None:
                fault = "no_tools: the prompt has none whose schema calls could be checked by"
            valid.append(fault or [reward == 1 for reward, _, _ in found])
        return valid

    def _check(self, expected: list[Call] | str, calls: Calls, valid: list[bool] | str) -> Checked:
        for given in (expected, valid):
            if isinstance(given, str):
                return None, given, None
        assert isinstance(expected, list)
        assert isinstance(valid, list)
        made = [(call["name"], orjson.loads(call["arguments"])) for call in calls]
        matched = self._count_matches(expected, made, valid)
        most = max(len(expected), len(made))
        share = matched / most if most else 1.0
        reward = share if self.config.partial else float(share == 1)
        return reward, None, f"{matched} of {most} calls match; made: {_describe(made)}"

    def _count_matches(self, expected: list[Call], made: list[Call], valid: list[bool]) -> int:
        """The number of calls that match, each with an expected call of its own."""
        if self.config.ordered:
            paired = range(min(len(expected), len(made)))
            return sum(self._matches(expected[n], made[n], valid, n) for n in paired)
        # With subsets one call may match several expected ones: the most pairs are looked for.
        fits = [
            [n for n, other in enumerate(made) if self._matches(one, other, valid, n)]
            for one in expected
        ]
        return _count_pairs(fits)

    def _matches(self, expected: Call, made: Call, valid: list[bool], number: int) -> bool:
        (name, arguments), (called, given) = expected, made
        if name != called:
            return False
        if self.config.match == "schema":
            return valid[number]
        if self.config.match == "subset":
            return all(_equal(given.get(key, _ABSENT), item) for key, item in arguments.items())
        return _equal(given, arguments)


_ABSENT = object()


def _read_schemas(tools: str | None) -> dict[str, str]:
    """The JSON Schema of each tool's arguments, by the tool's name."""
    functions = [tool["function"] for tool in parse_tools(tools) or ()]
    return {f["name"]: orjson.dumps(f.get("parameters", {})).decode() for f in functions}


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
