"""The tools of a row, in any common form, as OpenAI's list."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from prefdata.errors import DropRecord

_DEFINED = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_ENDS = re.compile(r"</tools>|</tool_call>")
_SCHEMAS = ("parameters", "input_schema")
"""The names of a tool's JSON Schema: OpenAI's and Hermes', and Anthropic's."""
_APART = ("type", "cache_control", *_SCHEMAS)
"""The fields of a tool that are not its function's."""


def read_tools(value: Any, field: str) -> str | None:
    """The tools as JSON text: a list in OpenAI's form, with sorted keys. None: no tools.

    `[{"name": "f", "input_schema": {"type": "object"}}]` becomes `[{"function": {"name": "f",
    "parameters": {"type": "object"}}, "type": "function"}]`.

    Args:
        value: A list of functions in the form of OpenAI, Hermes, ShareGPT or Anthropic, or its JSON
            text. In objects, fields that are null are left out: in a Parquet file every tool has
            the fields of all tools.
        field: Its field, for errors.

    Raises:
        DropRecord: It is no list of functions.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise _fault(field, f"is no JSON: {error}") from error
    else:
        value = drop_nulls(value)
    if value is None or value == []:
        return None
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        raise _fault(field, f"is {type(value).__name__}, expected a list of functions")
    tools = [_read_tool(tool, f"{field}, tool {number}") for number, tool in enumerate(value, 1)]
    names = [tool["function"]["name"] for tool in tools]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise _fault(field, f"holds {repeated[0]!r} twice")
    try:
        return orjson.dumps(tools, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError as error:
        raise _fault(field, f"can't be written as JSON: {error}") from error


def _read_tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, Mapping):
        raise _fault(where, f"is {type(tool).__name__}, expected an object")
    kind = tool.get("type", "function")
    inner = tool.get("function", tool)
    # "custom" is Anthropic's word for a tool that the caller defines.
    if kind not in ("function", "custom") or not isinstance(inner, Mapping):
        raise _fault(where, f"is no function, but of the type {kind!r:.40}")
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        raise _fault(where, f"has the name {name!r:.40}, expected text")
    function = {key: item for key, item in inner.items() if key not in _APART}
    given = [inner[key] for key in _SCHEMAS if key in inner]
    if given:
        if not isinstance(given[0], Mapping):
            raise _fault(
                f"{where} ({name})",
                f"has parameters of the type {type(given[0]).__name__}, expected a JSON Schema",
            )
        function["parameters"] = given[0]
    return {"type": "function", "function": function}


class SystemTools(NamedTuple):
    """A system turn without the tools that it defined."""

    text: str
    tools: list[Any]


def take_system_tools(text: str) -> SystemTools | None:
    """Take the tools out of a system turn that defines them within `<tools>`; None: it does not.

    With them goes what the turn says of them and of the form of calls, up to the last mark: the
    model's chat template says it in the model's own words.
    """
    tools: list[Any] = []
    for body in _DEFINED.findall(text):
        found = _load_values(body)
        if found is None:
            return None
        tools += found
    if not tools:
        return None
    first = text.find("<tools>")
    heading = text.rfind("# Tools", 0, first)
    start = heading if heading >= 0 else text.rfind("\n", 0, first) + 1
    end = max(mark.end() for mark in _ENDS.finditer(text))
    kept = [text[:start].strip(), text[end:].strip()]
    return SystemTools("\n\n".join(part for part in kept if part), tools)


def _load_values(text: str) -> list[Any] | None:
    """The items of a JSON list, or JSON values one after another; None: it is neither."""
    decoder, rest, values = json.JSONDecoder(), text.strip(), []
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (json.JSONDecodeError, RecursionError):
            return None
        values += value if isinstance(value, list) else [value]
        rest = rest[end:].lstrip(", \n\t")
    return values if all(isinstance(value, dict) for value in values) else None


def drop_nulls(value: Any) -> Any:
    """The value without the null fields of its objects, at any depth."""
    if isinstance(value, Mapping):
        return {key: drop_nulls(item) for key, item in value.items() if item is not None}
    return [drop_nulls(item) for item in value] if isinstance(value, list) else value


def _fault(where: str, problem: str) -> DropRecord:
    return DropRecord(
        "tools_unreadable",
        f"{where} {problem}",
        "Give a list of functions in the form of OpenAI or Anthropic; tools_field of the source "
        "names the field (null: the rows hold no tools).",
    )
