"""A row of the published dataset, as a trainer reads it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record
from prefdata.records.pair import PairJudgment
from prefdata.records.prompt import Message


class Preference(Record):
    """One row of data/dataset: prompt, and completions without it, all `list[Message]`."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: list[Message]
    chosen: list[Message] = Field(description="Exactly one assistant turn.")
    rejected: list[Message] = Field(description="Exactly one assistant turn.")
    prompt_id: str
    pair_id: str
    source: str
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
