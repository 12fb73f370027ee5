"""The form of OpenAI's preference tuning, which others behind an API take too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs
from prefdata.messages.chat_form import to_chat_form
from prefdata.records.base import JsonText, Record

_INPUT = pl.Struct({"messages": pl.List(pl.String), "tools": pl.String})


class HostedInput(BaseModel):
    """What the model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: list[JsonText] = Field(description="The prompt's turns.")
    tools: JsonText | None = Field(description="The prompt's tools; absent: none.")


class HostedPreference(Record):
    """One line for OpenAI's preference tuning. It has no other keys: services refuse them."""

    input: HostedInput
    preferred_output: list[JsonText] = Field(description="The better response, one turn.")
    non_preferred_output: list[JsonText] = Field(description="The worse response, one turn.")


class OpenaiConfig(PlainConfig):
    kind: Literal["openai"] = "openai"


class Openai(PlainPairs):
    """Pairs for preference tuning by OpenAI, Azure, Fireworks and Together, one JSONL file a split.

    Their pages say: exactly one assistant's message on either side, and text alone; Fireworks wants
    at least 3 rows, Azure a file of its own for validation. Tools and their calls are in OpenAI's
    form, whose calls have ids: a call without one gets its place in the turn.
    """

    config: OpenaiConfig
    record = HostedPreference
    usage = "{name}/train.jsonl  # upload it as the training file of a preference fine-tuning job"
    file_format = "jsonl"
    omits_nulls = True
    one_file = True
    tool_calls = True
    cannot_carry = "Ids, labels, margins and judgments; thoughts only inline."

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        chosen, rejected = (_encode_responses(pairs, side) for side in SIDES)
        inputs = [
            {"messages": [encode_message(turn) for turn in turns], "tools": tools}
            for turns, tools in pairs.select("messages", "tools").iter_rows()
        ]
        return Formatted(
            pairs.select(
                "split",
                input=pl.Series(inputs, dtype=_INPUT),
                preferred_output=chosen,
                non_preferred_output=rejected,
            )
        )


def _encode_responses(pairs: pl.DataFrame, side: str) -> pl.Series:
    """Each response of a side, as a list of one turn."""
    texts = [
        [encode_message({"role": "assistant", "content": text, "tool_calls": calls})]
        for text, calls in pairs.select(side, f"{side}_tool_calls").iter_rows()
    ]
    return pl.Series(texts, dtype=pl.List(pl.String))


def encode_message(message: dict[str, Any]) -> str:
    """A message in OpenAI's form as JSON text, without thoughts."""
    calls: Sequence[dict[str, Any]] = message.get("tool_calls") or ()
    named = [{**call, "id": call["id"] or f"call_{n}"} for n, call in enumerate(calls)]
    form = to_chat_form({**message, "tool_calls": named}, arguments="text", thought_keys=())
    return orjson.dumps(form).decode()
