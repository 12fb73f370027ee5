"""A top-up: how many samples a prompt has had, what came of them, and how many it gets."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record


class TopUp(Record):
    """One row of data/top_up: a prompt."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    prompt_id: str
    drawn: int = Field(description="Samples that were drawn.")
    accepted: int = Field(description="Pairs that every filter kept.")
    open: bool = Field(description="More samples are allowed and may make more pairs.")
    n: int = Field(description="Samples that the next `generate` draws; `drawn` or more.")
