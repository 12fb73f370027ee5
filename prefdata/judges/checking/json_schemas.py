"""Checks JSON against a JSON Schema.

It runs in a process of its own (bounded.py), so it imports little.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from prefdata.judges.checking.bounded import Checked
from prefdata.judges.checking.faults import is_of_row, is_panic, quote

_DEEP = 64
"""A value of fewer levels can be checked against any schema that does not recurse for ever."""


def check_json(schema: str, text: str, source: str = "the ground truth") -> Checked:
    """Check that the text is JSON that holds to the schema, which `source` names in faults."""
    validator = build_validator(schema)
    if isinstance(validator, str):
        return None, f"bad_schema: {source} {validator}", None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return 0.0, None, f"no JSON: {error}"
    try:
        # Sorted by path and message: the validator's own order is not fixed.
        errors = sorted((e.json_path, e.message) for e in validator.iter_errors(value))
    except Unresolvable as error:
        return None, f"bad_schema: {quote(str(error))} is elsewhere, or nowhere", None
    except BaseException as error:
        # A library below makes a panic of a RecursionError.
        if not isinstance(error, RecursionError) and not is_panic(error):
            raise
        if _is_deep(value):
            return 0.0, None, "nested too deep to be checked"
        return None, f"bad_schema: {source} {quote(schema)} refers to itself", None
    if errors:
        path, message = errors[0]
        return 0.0, None, f"{path}: {quote(message)}"
    return 1.0, None, "holds to the schema"


@lru_cache(maxsize=256)
def build_validator(text: str) -> Any:
    """A validator for the schema, or the reason why the text is not a schema."""
    try:
        schema: Any = orjson.loads(text)
        if type(schema) not in (dict, bool):
            return f"is no JSON Schema: {quote(text)}"
        kind = validator_for(schema)
        kind.check_schema(schema)
    except BaseException as error:
        if not is_of_row(error):
            raise
        said = str(error).partition("\n")[0] or type(error).__name__
        return f"is no JSON Schema: {quote(said)}"
    # An empty registry: the default one fetches what "$ref" names from the network.
    return kind(schema, registry=Registry())


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEP):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
