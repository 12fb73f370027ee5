"""A row of the published dataset, as a trainer reads it."""

from __future__ import annotations

from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.base import JsonText, Record
from prefdata.records.pair import PairJudgment


class Turn(BaseModel):
    """One turn. It has exactly two keys: a nullable third one would reach the chat template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


TurnT = TypeVar("TurnT", Turn, str)


class PreferenceColumns(Record, Generic[TurnT]):
    """The columns of a row: prompt, and completions without it, all lists of turns."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: list[TurnT]
    chosen: list[TurnT] = Field(description="Exactly one assistant turn.")
    rejected: list[TurnT] = Field(description="Exactly one assistant turn.")
    prompt_id: str
    pair_id: str
    source: str
    chosen_policy: str = Field(description="The policy of the chosen response; see Response.")
    rejected_policy: str = Field(description="The policy of the rejected response.")
    strategy: str
    soft_label: float
    agreement: float
    flag: str | None = Field(description="The consensus' mark on the label; see Label.")
    reward_chosen: float | None
    reward_rejected: float | None
    margin: float | None
    ches: float | None
    ches_normalized: float | None
    weight: float | None
    judgments: list[PairJudgment]


class Preference(PreferenceColumns[Turn]):
    """One row of data/dataset where messages are role and content, and prompts have no tools."""


class StructuredPreference(PreferenceColumns[JsonText]):
    """One row of data/dataset where some prompt or response of it has tools, calls or thoughts.

    A turn is a message in OpenAI's form, with no key that it does not need: `{"role": "assistant",
    "content": "", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f",
    "arguments": {"city": "Paris"}}}]}`. As JSON, for a struct would give every turn the keys of all
    turns, and every call the arguments of all tools, as nulls that chat templates render.
    """

    tools: str | None = Field(
        description="The prompt's tools as JSON text; see Prompt. null: none."
    )
