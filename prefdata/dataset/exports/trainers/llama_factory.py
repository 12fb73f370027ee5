"""The form of LLaMA-Factory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, place_turns
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


class LlamaFactoryPreference(Record):
    """One row for LLaMA-Factory's reward modelling and DPO."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    conversations: list[Turn] = Field(description="The prompt's turns, the last a user's.")
    chosen: Turn = Field(description="The better response.")
    rejected: Turn = Field(description="The worse response.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class LlamaFactoryConfig(PlainConfig):
    kind: Literal["llama_factory"] = "llama_factory"


class LlamaFactory(PlainPairs):
    """Pairs for LLaMA-Factory (stages `rm` and `dpo`), in its form `sharegpt`, with the
    `dataset_info.json` that describes them.

    The rules are those of `SharegptDatasetConverter` in `llamafactory/data/converter.py` and of
    `PairwiseDatasetProcessor` (0.9.5): chosen and rejected are one turn each, not lists, and turns
    alternate, so that the prompt ends with a user's.
    """

    config: LlamaFactoryConfig
    record = LlamaFactoryPreference
    usage = (
        "llamafactory-cli train --stage dpo --dataset_dir {name} --dataset {name}_train \\\n"
        "  --model_name_or_path MODEL --template TEMPLATE --output_dir dpo"
    )
    file_format = "jsonl"
    one_file = True
    cannot_carry = (
        "Tools, calls and labels; thoughts only inline, as its templates for models that think "
        "have them."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        return Formatted(place_turns(pairs, "conversations"))

    def make_files(self, shards: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
        columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
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
