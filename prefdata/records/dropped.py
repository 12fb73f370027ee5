"""A dropped record: what fell out, where and why. Every record that falls out gets one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from prefdata.records.base import Record, polars_schema


class Dropped(Record):
    """One row of data/dropped/STAGE."""

    sort_by: ClassVar[tuple[str, ...]] = ("origin", "reason", "detail", "record")

    stage: str
    reason: str = Field(description="A short code, for counting.")
    detail: str = Field(description="What was found and, where it helps, which setting to change.")
    fault: bool = Field(
        description="true: the input or a model call was at fault, and it counts towards "
        "max_faulty_fraction; false: dropped by design (duplicate, disagreement, filter)."
    )
    origin: str = Field(description="The prompt id; file:row of a row that never became a prompt.")
    record: str = Field(description="The record as JSON, or the raw text that was not a record.")


def no_dropped() -> pl.DataFrame:
    """No `Dropped` rows."""
    return pl.DataFrame(schema=polars_schema(Dropped))


def drop_rows(
    rows: pl.DataFrame, stage: str, record: Sequence[str], fault: bool | pl.Expr
) -> pl.DataFrame:
    """One `Dropped` row for each of `rows`, which have prompt_id, reason and detail.

    Args:
        rows: What fell out of the stage.
        stage: The stage's name.
        record: The columns that make up the record.
        fault: Whether the input or a model call was at fault.
    """
    return rows.select(
        stage=pl.lit(stage),
        reason="reason",
        detail="detail",
        fault=fault if isinstance(fault, pl.Expr) else pl.lit(fault),
        origin="prompt_id",
        record=pl.struct(*record).struct.json_encode(),
    )
