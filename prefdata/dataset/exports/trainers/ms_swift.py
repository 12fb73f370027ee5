"""The form of ms-swift."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, list_conversation
from prefdata.records.base import Record
from prefdata.records.preference import Turn
from prefdata.statistics.odds import log_odds


class MsSwiftPreference(Record):
    """One row for ms-swift's DPO, ORPO, CPO, SimPO and reward modelling."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    messages: list[Turn] = Field(description="The prompt's turns and the better response.")
    rejected_response: str = Field(description="The worse response.")
    margin: float = Field(
        description="The margin of a reward model's loss: the log-odds of soft_label, never null."
    )
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class MsSwiftConfig(PlainConfig):
    kind: Literal["ms_swift"] = "ms_swift"


class MsSwift(PlainPairs):
    """Pairs for ms-swift (`swift rlhf --rlhf_type dpo`, `rm`, `orpo`, `cpo`, `simpo`).

    The rules are those of `RowPreprocessor` in `swift/dataset/preprocessor/core.py` (4.6.0): the
    better response ends `messages`, a worse one that equals it is an error, and columns of other
    names are not read. Its reward modelling takes `margin` for the margin of the loss wherever it
    finds it, so it is one here.
    """

    config: MsSwiftConfig
    record = MsSwiftPreference
    usage = "swift rlhf --rlhf_type dpo --model MODEL --dataset {name}/train.jsonl"
    file_format = "jsonl"
    one_file = True
    cannot_carry = "Tools and calls, labels and judgments; thoughts only inline."

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        return Formatted(
            pairs.select(
                "prompt_id",
                "pair_id",
                "split",
                messages=list_conversation("chosen"),
                rejected_response="rejected",
                margin=log_odds(pl.col("soft_label")),
            )
        )
