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
from prefdata.judges.checking.schemas import SchemaFault, build_validator, find_error
from prefdata.judges.checking.verifier import CHECKED, Verifier

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
            validator = build_validator(self.schema, self.where)
            if isinstance(validator, str):
                raise ConfigError(f"{self.where}.file: {self.config.file}: {validator}")

    @property
    def by_ground_truth(self) -> bool:
        return self.config.file is None

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        schemas = (
            responses["ground_truth"] if self.schema is None else [self.schema] * responses.height
        )
        validators = {text: build_validator(text, self.where) for text in dict.fromkeys(schemas)}
        # There is no polars expression for this.
        rows = [
            self._check(validators[schema], text)
            for schema, text in zip(schemas, responses["text"], strict=True)
        ]
        return pl.DataFrame(rows, schema=CHECKED, orient="row")

    def _check(self, validator: Any, text: str) -> tuple[float | None, str | None, str | None]:
        if isinstance(validator, str):
            return None, f"bad_schema: the ground truth {validator}", None
        blocks = _FENCED.findall(text) if self.config.fenced else []
        try:
            value = orjson.loads(blocks[0] if len(blocks) == 1 else text)
        except orjson.JSONDecodeError as error:
            return 0.0, None, f"no JSON: {error}"
        try:
            problem = find_error(validator, value)
        except SchemaFault as fault:
            return None, f"bad_schema: {fault}", None
        return (1.0, None, "holds to the schema") if problem is None else (0.0, None, problem)
