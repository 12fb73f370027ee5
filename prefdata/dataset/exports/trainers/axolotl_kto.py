"""The form of axolotl's KTO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.plain import PlainConfig
from prefdata.dataset.exports.trainers.axolotl import describe_datasets
from prefdata.dataset.exports.unpaired import UnpairedPlain
from prefdata.records.base import Record


class AxolotlResponse(Record):
    """One row for axolotl's KTO."""

    sort_by: ClassVar[tuple[str, ...]] = ("response_id",)

    system: str = Field(description="The system turn; empty: none.")
    instruction: str = Field(description="The user's turn.")
    completion: str = Field(description="The response.")
    label: bool = Field(description="Whether the response is desired.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    response_id: str = Field(description="The response's id; not read.")


class AxolotlKtoConfig(PlainConfig):
    kind: Literal["axolotl_kto"] = "axolotl_kto"
    template: Literal["chatml", "llama3"] = Field(
        "chatml",
        description="The model's chat template, which the YAML names: axolotl writes the turns of "
        "its KTO data by one of these two, and not by the model's own.",
    )


class AxolotlKto(UnpairedPlain):
    """Responses to one turn with a label for axolotl (`rl: kto`), by its types `chatml.argilla` and
    `llama3.argilla`, with the YAML that goes into its configuration.

    The rules are those of `argilla` in `axolotl/prompt_strategies/kto/chatml.py` and `llama3.py`
    (0.21.0). Of a conversation its type `argilla_chat` takes the first two turns alone, so here
    only a prompt of one turn passes.
    """

    config: AxolotlKtoConfig
    record = AxolotlResponse
    usage = "cd {name} && axolotl train config.yaml  # config.yaml: your model, and axolotl.yaml"
    one_turn = True
    cannot_carry = (
        "Conversations, tools and calls; which response was compared with which, how surely, and "
        "who judged; thoughts only inline."
    )

    def make_rows(self, responses: pl.DataFrame) -> pl.DataFrame:
        content = pl.element().struct.field("content")
        texts = pl.col("conversation").list.eval(content).list
        # The system turn, where there is one, the user's, the response.
        system = pl.when(texts.len() > 2).then(texts.first()).otherwise(pl.lit(""))
        return responses.select(
            "prompt_id",
            "response_id",
            "split",
            system=system,
            instruction=texts.get(-2),
            completion=texts.last(),
            label="desired",
        )

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        type_ = f"{self.config.template}.argilla"
        return {"axolotl.yaml": describe_datasets(shards, {"rl": "kto"}, type_)}
