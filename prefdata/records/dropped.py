"""A rejection: what fell out, where and why. Nothing is dropped without one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record


class Rejection(Record):
    """One row of data/rejections/STAGE."""

    sort_by: ClassVar[tuple[str, ...]] = ("place", "reason", "detail", "record")

    stage: str
    reason: str = Field(description="A short code, for counting.")
    detail: str = Field(description="What was found and, where it helps, the setting to change.")
    fault: bool = Field(
        description="True: the input or a model call was at fault, counts towards "
        "max_rejected_fraction; False: dropped by design (duplicate, disagreement, filter)."
    )
    place: str = Field(description="The prompt id; file:row for a row that never became a prompt.")
    record: str = Field(description="The record as JSON, or the raw text that was not a record.")
