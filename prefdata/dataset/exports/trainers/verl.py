"""The form of verl's reinforcement learning."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.dataset.exports.base import Export, ExportBucket, ExportConfig, Formatted
from prefdata.dataset.exports.plain import has_tools_in_prompt, list_turns
from prefdata.records.base import Record
from prefdata.records.preference import Turn

_INDEX_DIGITS = 12
"""48 bits, which a float holds too."""


class RewardModel(BaseModel):
    """How verl rewards a response."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: str = Field(description="rule: by a function; model: by a reward model.")
    ground_truth: str | None = Field(description="What the function checks against.")


class ExtraInfo(BaseModel):
    """What goes to the reward function besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str
    index: int = Field(description="A number of the prompt's own: the start of its content id.")


class VerlPrompt(Record):
    """One row for verl's reinforcement learning."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    data_source: str = Field(description="Picks the reward function.")
    prompt: list[Turn] = Field(description="The prompt's turns.")
    ability: str = Field(description="The kind of task; for your own sorting.")
    reward_model: RewardModel
    extra_info: ExtraInfo
    prompt_id: str = Field(description="Content id of the prompt; not read.")


class VerlConfig(ExportConfig):
    kind: Literal["verl"] = "verl"
    style: Literal["rule", "model"] = Field(
        "rule",
        description="How responses are rewarded. rule: by a function that checks them against the "
        "prompt's ground truth, without which a prompt falls out; model: by a reward model.",
    )
    data_source: str | None = Field(
        None,
        description="The name by which verl picks the reward function, such as openai/gsm8k; null: "
        "the prompt's own source.",
        examples=["openai/gsm8k"],
    )
    ability: str = Field("general", description="The kind of task.", examples=["math"])


class Verl(Export):
    """All prompts, for verl's PPO, GRPO and their kin; they need no pairs.

    The rules are those of `RLHFDataset` in `verl/utils/dataset/rl_dataset.py` and of
    `NaiveRewardManager` in `verl/workers/reward_manager/naive.py` (0.9.1): `data_source` and
    `reward_model.ground_truth` go to the reward function.
    """

    config: VerlConfig
    record = VerlPrompt
    usage = "python -m verl.trainer.main_ppo data.train_files='{name}/train-*.parquet'"
    unit = "prompts"
    needs = frozenset({"prompts"})
    one_way = "It holds prompts alone."
    cannot_carry = (
        "Responses, labels and rewards, which a policy is to find by itself; tools, which verl has "
        "in a configuration of its own."
    )

    @property
    def takes_pairs(self) -> bool:
        return False

    def format_rows(self, bucket: ExportBucket) -> Formatted:
        prompts, dropped = bucket.prompts, []
        limits = [("tools", has_tools_in_prompt(), "verl has tools in a configuration of its own.")]
        if self.config.style == "rule":
            missing = pl.col("ground_truth").is_null()
            detail = f"No ground truth to check responses against; see {self.where}.style."
            limits.append(("no_ground_truth", missing, detail))
        for reason, condition, detail in limits:
            fell = prompts.filter(condition)
            dropped.append(fell.select("prompt_id", reason=pl.lit(reason), detail=pl.lit(detail)))
            prompts = prompts.filter(~condition)
        source = self.config.data_source
        index = pl.col("prompt_id").str.head(_INDEX_DIGITS).str.to_integer(base=16)
        rows = prompts.select(
            "prompt_id",
            "split",
            data_source=pl.col("source") if source is None else pl.lit(source),
            prompt=list_turns(),
            ability=pl.lit(self.config.ability),
            reward_model=pl.struct(pl.lit(self.config.style).alias("style"), "ground_truth"),
            extra_info=pl.struct("split", index.alias("index")),
        )
        return Formatted(
            rows,
            pl.concat(dropped),
            units_in=bucket.prompts.height,
            pair_ids=bucket.pairs["pair_id"].clear(),
        )
