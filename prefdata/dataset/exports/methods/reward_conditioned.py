"""The form of Reward-Augmented Data: two rows a pair, each conditioned on a target reward."""

from __future__ import annotations

from string import Formatter
from typing import Any, ClassVar, Generic, Literal

import polars as pl
from pydantic import Field, field_validator

from prefdata.dataset.exports.base import ExportBucket, Formatted, sort_out
from prefdata.dataset.exports.conversations import SIDES, ConversationalConfig
from prefdata.dataset.exports.ranges import Range
from prefdata.dataset.exports.trl import Preferences
from prefdata.parts.numbers import Whole
from prefdata.records.base import JsonText, Record
from prefdata.records.preference import Turn, TurnT

TEMPLATE = (
    "Respond so that your response earns {reward} points on a scale from {low} to {high}, where "
    "{high} is best."
)
_PLACEHOLDERS = ("reward", "low", "high")


class ConditionedColumns(Record, Generic[TurnT]):
    """The columns of a row."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id", "swapped")

    prompt: list[TurnT] = Field(description="The prompt's turns, with the target reward.")
    chosen: list[TurnT] = Field(description="The response that has the target reward.")
    rejected: list[TurnT] = Field(description="The other response.")
    prompt_id: str = Field(description="Content id of the prompt, without the target.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected of the pair.")
    swapped: bool = Field(description="Whether the target is the reward of the rejected response.")
    target_reward: float = Field(description="The target, as the prompt says it.")
    reward_chosen: float = Field(description="The reward of the row's chosen response.")
    reward_rejected: float = Field(description="The reward of the row's rejected response.")


class ConditionedPreference(ConditionedColumns[Turn]):
    """One of the two rows of a pair, where messages are role and content."""


class StructuredConditionedPreference(ConditionedColumns[JsonText]):
    """As `ConditionedPreference`, with messages as JSON; see `StructuredPreference`."""

    tools: str | None = Field(
        description="The prompt's tools as JSON text; see Prompt. null: none."
    )


class RewardConditionedConfig(ConversationalConfig):
    kind: Literal["reward_conditioned"] = "reward_conditioned"
    rewards: Range = Field(
        description="The least and the greatest reward that the judges give, such as [1, 5]. A "
        "pair with a reward beyond them falls out.",
        examples=[[0.0, 2.0]],
    )
    scale: Range = Field(
        (1, 10), description="What they are in the prompt.", examples=[[0.0, 100.0]]
    )
    decimals: Whole = Field(
        0,
        ge=0,
        le=12,
        description="The decimals of the target. A pair whose two targets are the same falls out.",
        examples=[1],
    )
    place: Literal["system", "user"] = Field(
        "system",
        description="Where the target stands. system: in the system turn, below what is there; "
        "user: at the head of the turn to be answered, for models without system turns.",
    )
    template: str = Field(
        TEMPLATE,
        description="The text that says the target, with {reward} and, if wanted, {low} and "
        "{high}, the ends of the scale.",
        examples=["Target: {reward}"],
    )

    example: ClassVar[dict[str, Any]] = {"rewards": [0.0, 1.0]}

    @field_validator("template")
    @classmethod
    def _check_template(cls, template: str) -> str:
        names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        unknown = sorted(names.difference(_PLACEHOLDERS))
        if unknown or "reward" not in names:
            found = f"unknown placeholders {unknown}" if unknown else "no {reward}"
            raise ValueError(f"{found}; it may hold {', '.join(_PLACEHOLDERS)}, and needs reward")
        return template


class RewardConditioned(Preferences):
    """Two rows a pair, in the form of `trl`, that name the reward which the response is to have: at
    the chosen response's reward that one wins, at the rejected one's reward the pair is swapped.

    Reward-Augmented Data Enhances Direct Preference Alignment of LLMs (Zhang et al., arXiv
    2410.08067), Section 4. So what is good in a rejected response is learned, too, as what it is.
    """

    config: RewardConditionedConfig
    record = ConditionedPreference
    usage = (
        "from trl import DPOTrainer\n"
        'DPOTrainer("your/model", train_dataset=dataset["train"]).train()'
    )
    structured = StructuredConditionedPreference
    one_way = "Its prompts name target rewards, and every second row is the swap of the first."
    cannot_carry = (
        "Labels, judgments and the figures of filters, which hold of the pair and not of its "
        "swapped row; a pair of which one response has no reward."
    )

    def make_rows(self, bucket: ExportBucket) -> Formatted:
        pairs, dropped = sort_out(bucket.pairs, self.list_limits())
        pairs = pairs.with_columns(
            self._rescale(f"reward_{side}").alias(f"target_{side}") for side in SIDES
        )
        detail = pl.format(
            "Both rewards, {} and {}, are the same with {} decimals; see {}.decimals.",
            "reward_chosen",
            "reward_rejected",
            pl.lit(self.config.decimals),
            pl.lit(self.where),
        )
        same = pl.col("target_chosen") == pl.col("target_rejected")
        pairs, equal = sort_out(pairs, {"same_target": (same, detail)})
        both = pl.concat(
            [
                pairs.with_columns(swapped=pl.lit(False)),
                swap_pairs(pairs).with_columns(swapped=pl.lit(True)),
            ]
        ).rename({"target_chosen": "target_reward"})
        return Formatted(
            super().make_rows(ExportBucket(self._place_targets(both))).rows,
            pl.concat([dropped, equal], how="diagonal"),
            units_in=bucket.pairs.height,
            units_out=pairs.height,
        )

    def list_limits(self) -> dict[str, tuple[pl.Expr, str | pl.Expr]]:
        low, high = self.config.rewards
        rewards = [pl.col(f"reward_{side}") for side in SIDES]
        found = pl.format(
            "Rewards {} and {}, where {}.rewards says {} to {}.",
            *rewards,
            pl.lit(self.where),
            pl.lit(low),
            pl.lit(high),
        )
        missing = f"No judge gave both responses a reward, which {self.kind} is about."
        limits: dict[str, tuple[pl.Expr, str | pl.Expr]] = {
            "no_reward": (pl.any_horizontal(r.is_null() for r in rewards), missing),
            "off_scale": (pl.any_horizontal(~r.is_between(low, high) for r in rewards), found),
        }
        if self.config.place == "user":
            last = pl.col("messages").list.last().struct.field("role")
            detail = f"The prompt ends with a tool's turn, no user's; see {self.where}.place."
            limits["no_user_turn"] = (last != "user", detail)
        return {**super().list_limits(), **limits}

    def _rescale(self, column: str) -> pl.Expr:
        (low, high), (least, most) = self.config.rewards, self.config.scale
        share = (pl.col(column) - low) / (high - low)
        # Behind the rounding, 0 may be -0.
        return (least + share * (most - least)).round(self.config.decimals) + 0.0

    def _place_targets(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """The pairs with the target in the prompt's messages."""
        targets = [self._say_target(target) for target in pairs["target_reward"]]
        rows = pairs.with_columns(_target=pl.Series(targets, dtype=pl.String))
        messages, target = pl.col("messages"), pl.col("_target")
        if self.config.place == "user":
            last = messages.list.last()
            content = pl.concat_str(target, last.struct.field("content"), separator="\n\n")
            turn = last.struct.with_fields(content.alias("content"))
            before = messages.list.head(messages.list.len() - 1)
            return rows.with_columns(messages=pl.concat_list(before, pl.concat_list(turn)))
        first = messages.list.first()
        has_system = first.struct.field("role") == "system"
        written = pl.concat_str(first.struct.field("content"), target, separator="\n\n")
        content = pl.when(has_system).then(written).otherwise(target)
        turn = first.struct.with_fields(pl.lit("system").alias("role"), content.alias("content"))
        behind = messages.list.slice(has_system.cast(pl.Int64))
        return rows.with_columns(messages=pl.concat_list(pl.concat_list(turn), behind))

    def _say_target(self, target: float) -> str:
        low, high = self.config.scale
        return self.config.template.format(
            reward=f"{target:.{self.config.decimals}f}", low=f"{low:g}", high=f"{high:g}"
        )


def swap_pairs(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs with the columns of chosen and of rejected exchanged, such as chosen_id with
    rejected_id and reward_chosen with reward_rejected; the others stay as they are."""
    swapped = {
        name: name.replace(one, other)
        for name in pairs.columns
        for one, other in (SIDES, SIDES[::-1])
        if one in name and name.replace(one, other) in pairs.columns
    }
    return pairs.rename(swapped).select(pairs.columns)
