"""A row of the published dataset, as a trainer reads it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.base import Record
from prefdata.records.pair import PairJudgment


class Turn(BaseModel):
    """One turn. It has exactly two keys: a nullable third one would reach the chat template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Preference(Record):
    """One row of data/dataset: prompt, and completions without it, all `list[Turn]`."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: list[Turn]
    chosen: list[Turn] = Field(description="Exactly one assistant turn.")
    rejected: list[Turn] = Field(description="Exactly one assistant turn.")
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
