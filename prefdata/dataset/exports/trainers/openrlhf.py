"""The form of OpenRLHF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, list_turns, make_response
from prefdata.records.base import Record
from prefdata.records.preference import Turn
from prefdata.statistics.odds import log_odds

FLAGS = (
    "--data.prompt_key prompt",
    "--data.chosen_key chosen",
    "--data.rejected_key rejected",
    "--data.apply_chat_template",
)
SPLITS = {
    "train": ("--data.dataset .", "--data.dataset_split train"),
    "test": ("--eval.dataset .", "--eval.split test"),
}
"""For a run in the export's folder."""


class OpenrlhfPreference(Record):
    """One row for OpenRLHF's reward model and DPO trainers."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: list[Turn] = Field(description="The prompt's turns.")
    chosen: list[Turn] = Field(description="The better response, one turn.")
    rejected: list[Turn] = Field(description="The worse response, one turn.")
    margin: float = Field(
        description="The margin of a reward model's loss, read with --model.margin_loss_enable: "
        "the log-odds of soft_label, never null."
    )
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class OpenrlhfConfig(PlainConfig):
    kind: Literal["openrlhf"] = "openrlhf"


class Openrlhf(PlainPairs):
    """Pairs for OpenRLHF's `train_rm` and `train_dpo`, with the flags that name their columns.

    The rules are those of `preprocess_data` in `openrlhf/datasets/reward_dataset.py` (0.11.2): with
    a prompt key and a chat template, it renders the prompt's and the response's turns together.
    Turns have no other keys than role and content, for `datasets` would fill them with nulls in all
    others, and the template would render these.
    """

    config: OpenrlhfConfig
    record = OpenrlhfPreference
    usage = (
        "cd {name} && python -m openrlhf.cli.train_dpo $(cat flags.txt) \\\n"
        "  --model.model_name_or_path MODEL"
    )
    cannot_carry = "Tools and calls, labels and judgments; thoughts only inline."

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        return Formatted(
            pairs.select(
                "prompt_id",
                "pair_id",
                "split",
                *(pl.concat_list(make_response(side)).alias(side) for side in SIDES),
                prompt=list_turns(),
                margin=log_odds(pl.col("soft_label")),
            )
        )

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        flags = [line for split in SPLITS if split in shards for line in SPLITS[split]]
        return {"flags.txt": "\n".join([*FLAGS, *flags]) + "\n"}
