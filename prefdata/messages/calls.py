"""A call of a tool in the form of `ToolCall`, from its parts in any form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


class CallFault(ValueError):
    """What was written as a call is none."""


def make_call(name: Any, arguments: Any, call_id: Any = None) -> dict[str, str | None]:
    """A call in the columns of `ToolCall`.

    Args:
        name: The tool's name.
        arguments: An object, or JSON text of one; None and "" stand for no arguments.
        call_id: The call's id; None: it has none.

    Raises:
        CallFault: The name is no text, or the arguments are no object.
    """
    if not isinstance(name, str) or not name:
        raise CallFault(f"its name is {name!r:.40}, expected text")
    if isinstance(call_id, int) and not isinstance(call_id, bool):
        call_id = str(call_id)
    if call_id is not None and not isinstance(call_id, str):
        raise CallFault(f"its id is {call_id!r:.40}, expected text")
    return {"id": call_id or None, "name": name, "arguments": encode_arguments(arguments)}


def take_call(call: Any) -> dict[str, str | None]:
    """A call of `{"name": …, "arguments": …}`, as models write it. Raises CallFault."""
    if not isinstance(call, Mapping):
        raise CallFault(f"it is {type(call).__name__}, expected an object of name and arguments")
    arguments = call.get("arguments", call.get("parameters"))
    return make_call(call.get("name"), arguments, call.get("id"))


def encode_arguments(arguments: Any) -> str:
    """The arguments as JSON text of an object with sorted keys. Raises CallFault."""
    if arguments is None or arguments == "":
        return "{}"
    if isinstance(arguments, str):
        arguments = load_json(arguments, "its arguments are")
    if not isinstance(arguments, Mapping):
        raise CallFault(f"its arguments are {type(arguments).__name__}, expected an object")
    try:
        return orjson.dumps(dict(arguments), option=orjson.OPT_SORT_KEYS).decode()
    except TypeError as error:
        raise CallFault(f"its arguments can't be written as JSON: {error}") from error


def load_json(text: str, what: str = "it is") -> Any:
    """The value of a JSON text. Raises CallFault, which begins with `what`."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CallFault(f"{what} no JSON ({error}): {text[:80]!r}") from error
