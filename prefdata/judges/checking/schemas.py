"""Checking values against a JSON Schema."""

from __future__ import annotations

from typing import Any

import orjson

from prefdata.errors import ConfigError
from prefdata.judges.checking.verifier import quote


class SchemaFault(ValueError):
    """The schema can't be used."""


def find_error(validator: Any, value: Any) -> str | None:
    """Where and how a value departs from the schema; None: it holds to it.

    Raises:
        SchemaFault: The schema refers to one that is elsewhere.
    """
    from referencing.exceptions import Unresolvable

    try:
        # Sorted by path and message: the validator's own order is not fixed.
        errors = sorted((e.json_path, e.message) for e in validator.iter_errors(value))
    except RecursionError:
        return "nested too deep to be checked"
    except Unresolvable as error:
        raise SchemaFault(f"{quote(str(error))} is elsewhere, or nowhere") from error
    return f"{errors[0][0]}: {quote(errors[0][1])}" if errors else None


def build_validator(text: str, where: str) -> Any:
    """A validator for the schema, or the reason why the text is not a schema."""
    try:
        from jsonschema import SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry
    except ImportError as error:
        raise ConfigError(
            f"{where}: {error}", "Install the extra: pip install prefdata[verifiers]"
        ) from error
    try:
        schema: Any = orjson.loads(text)
        if type(schema) not in (dict, bool):
            return f"is no JSON Schema: {quote(text)}"
        kind = validator_for(schema)
        kind.check_schema(schema)
    except (orjson.JSONDecodeError, SchemaError) as error:
        return f"is no JSON Schema: {quote(str(error).partition(chr(10))[0])}"
    # An empty registry: the default one fetches what "$ref" names from the network.
    return kind(schema, registry=Registry())
