"""The form of axolotl's reward modelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, find_system
from prefdata.dataset.exports.trainers.axolotl import describe_datasets
from prefdata.records.base import Record


class AxolotlRewardPreference(Record):
    """One row for axolotl's reward modelling."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    system: str = Field(description="The system turn; empty: none.")
    input: str = Field(description="The user's turn.")
    chosen: str = Field(description="The better response.")
    rejected: str = Field(description="The worse response.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class AxolotlRewardConfig(PlainConfig):
    kind: Literal["axolotl_reward"] = "axolotl_reward"


class AxolotlReward(PlainPairs):
    """Pairs of one turn for axolotl's reward modelling, by its type `bradley_terry.chat_template`,
    with the YAML that goes into its configuration.

    The rules are those of `BTChatTemplateStrategy` in
    `axolotl/prompt_strategies/bradley_terry/chat_template.py` (0.21.0): the column `system` must be
    there. axolotl renders a system turn for every row, an empty one where the prompt has none, as
    `ChatTemplateStrategy` takes the column; where no prompt has one, `drop_system_message: true`
    of its configuration takes it away.
    """

    config: AxolotlRewardConfig
    record = AxolotlRewardPreference
    usage = "cd {name} && axolotl train config.yaml  # config.yaml: your model, and axolotl.yaml"
    one_turn = True
    cannot_carry = (
        "Conversations, tools and calls, labels, margins and judgments; thoughts only inline; that "
        "a prompt has no system turn: axolotl renders an empty one."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        return Formatted(
            pairs.select(
                "prompt_id",
                "pair_id",
                "split",
                *SIDES,
                system=find_system().fill_null(""),
                input="question",
            )
        )

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        settings = {"reward_model": True}
        type_ = "bradley_terry.chat_template"
        return {"axolotl.yaml": describe_datasets(shards, settings, type_)}
