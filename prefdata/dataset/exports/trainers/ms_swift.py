"""The form of ms-swift."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import CALLS, PlainConfig, PlainPairs, list_conversation
from prefdata.dataset.exports.tool_turns import ToolForm
from prefdata.records.base import Record
from prefdata.records.preference import Turn
from prefdata.statistics.odds import log_odds

TOOL_FORM = ToolForm("tool_call", "tool_response", one_each=False)
MARGIN = Field(
    description="The margin of a reward model's loss: the log-odds of soft_label, never null."
)


class MsSwiftPreference(Record):
    """One row for ms-swift's DPO, ORPO, CPO, SimPO and reward modelling."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    messages: list[Turn] = Field(description="The prompt's turns and the better response.")
    rejected_response: str = Field(description="The worse response.")
    margin: float = MARGIN
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class MsSwiftTurn(BaseModel):
    """One turn, which may call a tool or be what it returned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant", "tool_call", "tool_response"]
    content: str = Field(description="The text; of a tool_call: the JSON text of the call.")


class StructuredMsSwiftPreference(Record):
    """One row for ms-swift's DPO, ORPO, CPO, SimPO and reward modelling, where some prompt or
    response of the dataset has tools or calls."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    messages: list[MsSwiftTurn] = Field(
        description="The prompt's turns and the better response, which may be several turns: its "
        "text and its calls."
    )
    rejected_messages: list[MsSwiftTurn] = Field(
        description="The prompt's turns and the worse response."
    )
    tools: str | None = Field(description="The prompt's tools as JSON text; null: none.")
    rejected_tools: str | None = Field(
        description="The same: beside rejected_messages nothing is taken from the better side."
    )
    margin: float = MARGIN
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class MsSwiftConfig(PlainConfig):
    kind: Literal["ms_swift"] = "ms_swift"


class MsSwift(PlainPairs):
    """Pairs for ms-swift (`swift rlhf --rlhf_type dpo`, `rm`, `orpo`, `cpo`, `simpo`).

    The rules are those of `RowPreprocessor` in `swift/dataset/preprocessor/core.py` (4.6.0): the
    better response ends `messages`, a worse one that equals it is an error, and columns of other
    names are not read. Its reward modelling takes `margin` for the margin of the loss wherever it
    finds it, so it is one here. Calls and results are turns of their own, by
    `StdTemplateInputs.from_dict` in `swift/template/template_inputs.py`.
    """

    config: MsSwiftConfig
    record = MsSwiftPreference
    structured = StructuredMsSwiftPreference
    tool_form = TOOL_FORM
    usage = "swift rlhf --rlhf_type dpo --model MODEL --dataset {name}/train.jsonl"
    file_format = "jsonl"
    one_file = True
    cannot_carry = "Labels and judgments, and the ids of calls; thoughts only inline."

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

    def make_structured_rows(self, pairs: pl.DataFrame) -> Formatted:
        asked = pl.lit(TOOL_FORM.write_conversations(pairs["messages"]))
        chosen, rejected = (
            pl.concat_list(asked, pl.lit(TOOL_FORM.write_responses(pairs, side, calls)))
            for side, calls in zip(SIDES, CALLS, strict=True)
        )
        return Formatted(
            pairs.select(
                "prompt_id",
                "pair_id",
                "split",
                "tools",
                messages=chosen,
                rejected_messages=rejected,
                rejected_tools="tools",
                margin=log_odds(pl.col("soft_label")),
            )
        )
