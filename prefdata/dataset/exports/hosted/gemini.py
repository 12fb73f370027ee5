"""The form of Gemini's preference tuning."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, find_system
from prefdata.records.base import Record


class GeminiPart(BaseModel):
    """A text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str


class GeminiInstruction(BaseModel):
    """The system turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Arrow allows no field that is never null in a struct that may be.
    parts: list[GeminiPart] | None


class GeminiContent(BaseModel):
    """A turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["user", "model"]
    parts: list[GeminiPart]


class GeminiCompletion(BaseModel):
    """A response with its score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float = Field(description="1: the better response; 0: the worse one.")
    completion: GeminiContent


class GeminiPreference(Record):
    """One line for Gemini's preference tuning. It has no other keys."""

    system_instruction: GeminiInstruction | None = Field(description="Absent: no system turn.")
    contents: list[GeminiContent] = Field(description="The prompt's turns, the last a user's.")
    completions: list[GeminiCompletion] = Field(description="The better response, then the worse.")


class GeminiConfig(PlainConfig):
    kind: Literal["gemini"] = "gemini"


class Gemini(PlainPairs):
    """Pairs for Gemini's preference tuning on Vertex AI, one JSONL file a split.

    Its page says: the turns end with a user's, exactly two completions with the scores 1 and 0, and
    text alone, up to 128k tokens.
    """

    config: GeminiConfig
    record = GeminiPreference
    usage = (
        "{name}/train.jsonl  # put it on Cloud Storage, as the dataset of a preference tuning job"
    )
    file_format = "jsonl"
    omits_nulls = True
    one_file = True
    cannot_carry = "Tools and calls, ids, labels, margins and judgments; thoughts only inline."

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        system, turn = find_system(), pl.element().struct
        content = _make_content(_name_role(turn.field("role")), turn.field("content"))
        instruction = pl.struct(_make_parts(system.fill_null("")).alias("parts"))
        completions = (
            pl.struct(
                pl.lit(score).alias("score"),
                _make_content(pl.lit("model"), pl.col(side)).alias("completion"),
            )
            for score, side in zip((1.0, 0.0), SIDES, strict=True)
        )
        asked = pl.col("messages").list.slice(system.is_not_null().cast(pl.Int64))
        return Formatted(
            pairs.select(
                "split",
                system_instruction=pl.when(system.is_not_null()).then(instruction),
                contents=asked.list.eval(content),
                completions=pl.concat_list(*completions),
            )
        )


def _name_role(role: pl.Expr) -> pl.Expr:
    return pl.when(role == "assistant").then(pl.lit("model")).otherwise(role)


def _make_parts(text: pl.Expr) -> pl.Expr:
    return pl.concat_list(pl.struct(text.alias("text")))


def _make_content(role: pl.Expr, text: pl.Expr) -> pl.Expr:
    # Inside list.eval, pl.concat_list of one expression is a list for each element.
    return pl.struct(role.alias("role"), _make_parts(text).alias("parts"))
