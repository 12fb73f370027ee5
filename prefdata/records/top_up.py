"""A top-up: how many samples a prompt has, how many pairs they made, and how many come next."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record


class TopUp(Record):
    """One row of data/top_up, one per prompt."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    prompt_id: str
    drawn: int = Field(description="Samples that have been drawn.")
    accepted: int = Field(description="Pairs that passed every filter.")
    open: bool = Field(description="Whether more samples are allowed and may make more pairs.")
    n: int = Field(description="Samples that generate draws next; at least `drawn`.")
