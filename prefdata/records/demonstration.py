"""A demonstration: a comparison on which the judges agreed, shown to them before the next one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record
from prefdata.records.prompt import Message


class Demonstration(Record):
    """One row of data/demonstrations, at most one a prompt."""

    sort_by: ClassVar[tuple[str, ...]] = ("rank",)

    rank: int = Field(description="0 is shown first.")
    prompt_id: str
    messages: list[Message] = Field(description="The prompt's, which is in the train split.")
    chosen: str = Field(description="The text of the response that all judges prefer.")
    rejected: str
    soft_label: float = Field(description="The consensus' P(chosen ≻ rejected), above 0.5.")
