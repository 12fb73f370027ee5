"""The form of ms-swift's KTO."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.plain import PlainConfig
from prefdata.dataset.exports.trainers.ms_swift import TOOL_FORM, MsSwiftTurn
from prefdata.dataset.exports.unpaired import UnpairedPlain
from prefdata.records.base import Record
from prefdata.records.preference import Turn


class MsSwiftResponse(Record):
    """One row for ms-swift's KTO."""

    sort_by: ClassVar[tuple[str, ...]] = ("response_id",)

    messages: list[Turn] = Field(description="The prompt's turns and the response.")
    label: bool = Field(description="Whether the response is desired.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    response_id: str = Field(description="The response's id; not read.")


class StructuredMsSwiftResponse(Record):
    """One row for ms-swift's KTO, where some prompt or response of the dataset has tools or
    calls."""

    sort_by: ClassVar[tuple[str, ...]] = ("response_id",)

    messages: list[MsSwiftTurn] = Field(description="The prompt's turns and the response.")
    label: bool = Field(description="Whether the response is desired.")
    tools: str | None = Field(description="The prompt's tools as JSON text; null: none.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    response_id: str = Field(description="The response's id; not read.")


class MsSwiftKtoConfig(PlainConfig):
    kind: Literal["ms_swift_kto"] = "ms_swift_kto"


class MsSwiftKto(UnpairedPlain):
    """Responses with a label for ms-swift (`swift rlhf --rlhf_type kto`).

    The rules are those of `RowPreprocessor` in `swift/dataset/preprocessor/core.py` (4.6.0).
    """

    config: MsSwiftKtoConfig
    record = MsSwiftResponse
    structured = StructuredMsSwiftResponse
    tool_form = TOOL_FORM
    usage = "swift rlhf --rlhf_type kto --model MODEL --dataset {name}/train.jsonl"

    def make_rows(self, responses: pl.DataFrame) -> pl.DataFrame:
        return responses.rename({"conversation": "messages", "desired": "label"})
