"""A demonstration: a comparison on which the judges agree, shown to them before the next one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record
from prefdata.records.message import Message


class Demonstration(Record):
    """One row of data/demonstrations, at most one per prompt."""

    sort_by: ClassVar[tuple[str, ...]] = ("rank",)

    rank: int = Field(description="0 is shown first.")
    prompt_id: str
    messages: list[Message] = Field(description="The prompt, of the train split.")
    chosen: str = Field(description="The text of the response that all judges prefer.")
    rejected: str
    soft_label: float = Field(description="The label's P(chosen ≻ rejected), above 0.5.")
