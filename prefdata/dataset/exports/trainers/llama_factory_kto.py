"""The form of LLaMA-Factory's KTO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.plain import PlainConfig
from prefdata.dataset.exports.trainers.llama_factory import (
    TOOL_FORM,
    LlamaFactoryTurn,
    describe_datasets,
)
from prefdata.dataset.exports.unpaired import UnpairedPlain
from prefdata.records.base import Record
from prefdata.records.preference import Turn


class LlamaFactoryResponse(Record):
    """One row for LLaMA-Factory's KTO."""

    sort_by: ClassVar[tuple[str, ...]] = ("response_id",)

    conversations: list[Turn] = Field(description="The prompt's turns and the response.")
    kto_tag: bool = Field(description="Whether the response is desired.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    response_id: str = Field(description="The response's id; not read.")


class StructuredLlamaFactoryResponse(Record):
    """One row for LLaMA-Factory's KTO, where some prompt or response of the dataset has tools or
    calls."""

    sort_by: ClassVar[tuple[str, ...]] = ("response_id",)

    conversations: list[LlamaFactoryTurn] = Field(
        description="The prompt's turns and the response."
    )
    kto_tag: bool = Field(description="Whether the response is desired.")
    tools: str | None = Field(description="The prompt's tools as JSON text; null: none.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    response_id: str = Field(description="The response's id; not read.")


class LlamaFactoryKtoConfig(PlainConfig):
    kind: Literal["llama_factory_kto"] = "llama_factory_kto"


class LlamaFactoryKto(UnpairedPlain):
    """Responses with a label for LLaMA-Factory (stage `kto`), in its form `sharegpt`, with the
    `dataset_info.json` that describes them.

    The rules are those of `SharegptDatasetConverter` in `llamafactory/data/converter.py` and of
    `FeedbackDatasetProcessor` (0.9.5), which takes an empty desired response for an undesired one.
    """

    config: LlamaFactoryKtoConfig
    record = LlamaFactoryResponse
    structured = StructuredLlamaFactoryResponse
    tool_form = TOOL_FORM
    usage = (
        "llamafactory-cli train --stage kto --dataset_dir {name} --dataset {name}_train \\\n"
        "  --model_name_or_path MODEL --template TEMPLATE --output_dir kto"
    )

    def make_rows(self, responses: pl.DataFrame) -> pl.DataFrame:
        return responses.rename({"conversation": "conversations", "desired": "kto_tag"})

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        columns = {"messages": "conversations", "kto_tag": "kto_tag"}
        columns |= {"tools": "tools"} if structured else {}
        return describe_datasets(self.name, shards, columns, ranking=False)
