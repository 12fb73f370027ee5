"""Verifies that a response is JSON that matches a JSON Schema: a file's, or the ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.bounded import check_rows
from prefdata.judges.checking.fences import find_json_blocks
from prefdata.judges.checking.verifier import CHECKED, Verifier
from prefdata.parts.inputs import InputPath
from prefdata.parts.numbers import CpuSeconds


class JsonSchemaConfig(JudgeConfig):
    kind: Literal["json_schema"] = "json_schema"
    file: InputPath | None = Field(
        None,
        description="A file with a JSON Schema; null: the prompt's ground truth is one.",
        examples=["schema.json"],
    )
    fenced: bool = Field(
        True,
        description="If a response has exactly one fenced code block, check only that block.",
        examples=[False],
    )
    seconds: CpuSeconds = Field(
        2,
        description="CPU seconds for one response; beyond them it is Unscored.",
        examples=[5],
    )


class JsonSchemaJudge(Verifier):
    """Validates the JSON of each response. References to schemas elsewhere are not followed."""

    config: JsonSchemaConfig

    schema: str | None = None
    """The text of `file`, where one is named; set by `setup`."""

    def setup(self) -> None:
        try:
            from prefdata.judges.checking.json_schemas import build_validator
        except ImportError as error:
            raise ConfigError(
                f"{self.where}: {error}", "Install the extra: pip install prefdata[verifiers]"
            ) from error
        if self.config.file is not None:
            try:
                self.schema = Path(self.config.file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"{self.where}.file: {self.config.file} can't be read: {error}",
                    "Name a file with a JSON Schema, or leave `file` out.",
                ) from error
            validator = build_validator(self.schema)
            if isinstance(validator, str):
                raise ConfigError(f"{self.where}.file: {self.config.file}: {validator}")

    @property
    def by_ground_truth(self) -> bool:
        return self.config.file is None

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        from prefdata.judges.checking.json_schemas import check_json

        schemas = (
            responses["ground_truth"] if self.schema is None else [self.schema] * responses.height
        )
        texts = map(self._find_json, responses["text"])
        # There is no polars expression for this.
        rows = check_rows(check_json, zip(schemas, texts, strict=True), self.config.seconds)
        return pl.DataFrame(rows, schema=CHECKED, orient="row")

    def _find_json(self, text: str) -> str:
        blocks = find_json_blocks(text) if self.config.fenced else []
        return blocks[0] if len(blocks) == 1 else text
