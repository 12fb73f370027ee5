"""The form of LLaMA-Factory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import CALLS, PlainConfig, PlainPairs, place_turns
from prefdata.dataset.exports.tool_turns import ToolForm
from prefdata.records.base import Record
from prefdata.records.preference import Turn

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
"""Where `tags` is there, a tag that is not named is none."""
TOOL_FORM = ToolForm(TAGS["function_tag"], TAGS["observation_tag"], one_each=True)


class LlamaFactoryPreference(Record):
    """One row for LLaMA-Factory's reward modelling and DPO."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    conversations: list[Turn] = Field(description="The prompt's turns, the last a user's.")
    chosen: Turn = Field(description="The better response.")
    rejected: Turn = Field(description="The worse response.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class LlamaFactoryTurn(BaseModel):
    """One turn, which may call tools or be what they returned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant", "function_call", "observation"]
    content: str = Field(
        description="The text; of a function_call: the JSON text of the call, or of a list of them."
    )


class StructuredLlamaFactoryPreference(Record):
    """One row for LLaMA-Factory's reward modelling and DPO, where some prompt or response of the
    dataset has tools or calls."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    conversations: list[LlamaFactoryTurn] = Field(
        description="The prompt's turns, the last a user's or a tool's."
    )
    chosen: LlamaFactoryTurn = Field(description="The better response.")
    rejected: LlamaFactoryTurn = Field(description="The worse response.")
    tools: str | None = Field(description="The prompt's tools as JSON text; null: none.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class LlamaFactoryConfig(PlainConfig):
    kind: Literal["llama_factory"] = "llama_factory"


class LlamaFactory(PlainPairs):
    """Pairs for LLaMA-Factory (stages `rm` and `dpo`), in its form `sharegpt`, with the
    `dataset_info.json` that describes them.

    The rules are those of `SharegptDatasetConverter` in `llamafactory/data/converter.py` and of
    `PairwiseDatasetProcessor` (0.9.5): chosen and rejected are one turn each, not lists, and turns
    alternate, so that the prompt ends with a user's or a tool's. A turn that calls tools is JSON
    alone but for the thoughts before it, by `FunctionFormatter` in `data/formatter.py`.
    """

    config: LlamaFactoryConfig
    record = LlamaFactoryPreference
    structured = StructuredLlamaFactoryPreference
    tool_form = TOOL_FORM
    usage = (
        "llamafactory-cli train --stage dpo --dataset_dir {name} --dataset {name}_train \\\n"
        "  --model_name_or_path MODEL --template TEMPLATE --output_dir dpo"
    )
    file_format = "jsonl"
    one_file = True
    cannot_carry = (
        "Labels, and the ids of calls; thoughts only inline, as its templates for models that "
        "think have them."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        return Formatted(place_turns(pairs, "conversations"))

    def make_structured_rows(self, pairs: pl.DataFrame) -> Formatted:
        sides = (
            TOOL_FORM.write_responses(pairs, side, calls).list.first().alias(side)
            for side, calls in zip(SIDES, CALLS, strict=True)
        )
        conversations = TOOL_FORM.write_conversations(pairs["messages"])
        rows = pairs.select("prompt_id", "pair_id", "split", "tools", conversations=conversations)
        return Formatted(rows.with_columns(*sides))

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
        columns |= {"tools": "tools"} if structured else {}
        return describe_datasets(self.name, shards, columns, ranking=True)


def describe_datasets(
    name: str, shards: Mapping[str, Sequence[str]], columns: Mapping[str, str], ranking: bool
) -> dict[str, str]:
    """LLaMA-Factory's description of the data: a dataset NAME_SPLIT for each split.

    Args:
        name: The export's name.
        shards: The file of each split.
        columns: What LLaMA-Factory calls a column, and what the file calls it. Where `columns` is
            there, a column that is not named is none.
        ranking: Whether a row has a chosen and a rejected response.
    """
    entries = {
        f"{name}_{split}": {
            "file_name": file,
            "formatting": "sharegpt",
            "ranking": ranking,
            "columns": columns,
            "tags": TAGS,
        }
        for split, (file,) in shards.items()
    }
    text = orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode()
    return {"dataset_info.json": text + "\n"}
