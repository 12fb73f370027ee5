"""Verifies that a response is JSON that matches a JSON Schema: a file's, or the ground truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.verifier import CHECKED, Verifier, quote

_FENCED = re.compile(r"```[ \t]*(?:json)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL | re.IGNORECASE)


class JsonSchemaConfig(JudgeConfig):
    kind: Literal["json_schema"] = "json_schema"
    file: str | None = Field(
        None,
        description="A file with a JSON Schema; null: the prompt's ground truth is one.",
        examples=["schema.json"],
    )
    fenced: bool = Field(
        True,
        description="If a response has exactly one fenced code block, check only that block.",
        examples=[False],
    )


class JsonSchemaJudge(Verifier):
    """Validates the JSON of each response. References to schemas elsewhere are not followed."""

    config: JsonSchemaConfig

    schema: str | None = None
    """The text of `file`, where one is named; set by `setup`."""

    def setup(self) -> None:
        if self.config.file is not None:
            try:
                self.schema = Path(self.config.file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"{self.where}.file: {self.config.file} can't be read: {error}",
                    "Name a file with a JSON Schema, or leave `file` out.",
                ) from error
            validator = _build_validator(self.schema, self.where)
            if isinstance(validator, str):
                raise ConfigError(f"{self.where}.file: {self.config.file}: {validator}")

    @property
    def by_ground_truth(self) -> bool:
        return self.config.file is None

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        schemas = (
            responses["ground_truth"] if self.schema is None else [self.schema] * responses.height
        )
        validators = {text: _build_validator(text, self.where) for text in dict.fromkeys(schemas)}
        # There is no polars expression for this.
        rows = [
            self._check(validators[schema], text)
            for schema, text in zip(schemas, responses["text"], strict=True)
        ]
        return pl.DataFrame(rows, schema=CHECKED, orient="row")

    def _check(self, validator: Any, text: str) -> tuple[float | None, str | None, str | None]:
        if isinstance(validator, str):
            return None, f"bad_schema: the ground truth {validator}", None
        from referencing.exceptions import Unresolvable

        blocks = _FENCED.findall(text) if self.config.fenced else []
        try:
            value = orjson.loads(blocks[0] if len(blocks) == 1 else text)
        except orjson.JSONDecodeError as error:
            return 0.0, None, f"no JSON: {error}"
        try:
            # Sorted by path and message: the validator's own order is not fixed.
            errors = sorted((e.json_path, e.message) for e in validator.iter_errors(value))
        except RecursionError:
            return 0.0, None, "nested too deep to be checked"
        except Unresolvable as error:
            return None, f"bad_schema: {quote(str(error))} is elsewhere, or nowhere", None
        if errors:
            path, message = errors[0]
            return 0.0, None, f"{path}: {quote(message)}"
        return 1.0, None, "holds to the schema"


def _build_validator(text: str, where: str) -> Any:
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
