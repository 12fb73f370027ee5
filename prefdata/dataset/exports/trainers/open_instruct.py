"""The form of open-instruct."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, list_conversation
from prefdata.records.base import Record
from prefdata.records.preference import Turn


class WholePreference(Record):
    """One row for open-instruct's DPO."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    chosen: list[Turn] = Field(description="The prompt's turns and the better response.")
    rejected: list[Turn] = Field(description="The prompt's turns and the worse response.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class OpenInstructConfig(PlainConfig):
    kind: Literal["open_instruct"] = "open_instruct"


class OpenInstruct(PlainPairs):
    """Pairs for open-instruct's DPO (Tülu, OLMo): whole conversations that differ in the last turn.

    The rules are those of `preference_tulu_tokenize_and_truncate_v1` in
    `open_instruct/dataset_transformation.py` (e6c3044, 2026-08-20).
    """

    config: OpenInstructConfig
    record = WholePreference
    usage = "python open_instruct/dpo.py --mixer_list {name} 1.0 --model_name_or_path MODEL"
    cannot_carry = "Tools and calls, labels, margins and judgments; thoughts only inline."

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        whole = (list_conversation(side).alias(side) for side in SIDES)
        return Formatted(pairs.select("prompt_id", "pair_id", "split", *whole))
