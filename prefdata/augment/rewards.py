"""Rewards of both responses, their margin, and every judgment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.augment.base import Augmentation, AugmentationConfig
from prefdata.comparisons.keys import COMPARISON
from prefdata.records.judgment import SPEAKER
from prefdata.records.pair import PairJudgment


class RewardsConfig(AugmentationConfig):
    kind: Literal["rewards"] = "rewards"
    judges: list[str] | None = Field(
        None,
        description="Judges whose rewards are averaged; null: all that give rewards.",
        examples=[["pairwise"]],
    )


class Rewards(Augmentation):
    """Adds the mean reward of each response, their margin, and every judgment on the pair.

    The mean is over the judges that give both responses a reward. Judgments are turned from a and
    b to chosen and rejected.
    """

    config: RewardsConfig
    columns: ClassVar[tuple[str, ...]] = (
        "reward_chosen", "reward_rejected", "margin", "judgments",
    )  # fmt: skip

    def judges(self) -> Sequence[str]:
        return self.config.judges or ()

    def augment(self, pairs: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
        sided = turn_judgments(pairs, judgments)
        named = self.config.judges
        rewarding = sided if named is None else sided.filter(pl.col("judge").is_in(named))
        # Only judges with both rewards: else the margin would compare means of different judges.
        rewarding = rewarding.drop_nulls(["reward_chosen", "reward_rejected"])
        means = rewarding.group_by("pair_id", maintain_order=True).agg(
            pl.col("reward_chosen", "reward_rejected").mean()
        )
        fields = pl.struct(list(PairJudgment.model_fields))
        listed = sided.group_by("pair_id", maintain_order=True).agg(judgments=fields)
        joined = pairs.join(means, on="pair_id", how="left", maintain_order="left").join(
            listed, on="pair_id", how="left", maintain_order="left"
        )
        return joined.with_columns(
            margin=pl.col("reward_chosen") - pl.col("reward_rejected"),
            judgments=pl.col("judgments").fill_null([]),
        )


def turn_judgments(pairs: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per pair and judgment on it, turned to chosen and rejected, sorted by speaker."""
    keys = pairs.select(
        "pair_id",
        "prompt_id",
        response_a=pl.min_horizontal("chosen_id", "rejected_id"),
        response_b=pl.max_horizontal("chosen_id", "rejected_id"),
        chosen_is_a=pl.col("chosen_id") < pl.col("rejected_id"),
    )
    rows = keys.join(judgments, on=COMPARISON)
    is_a = pl.col("chosen_is_a")
    return rows.select(
        "pair_id",
        *SPEAKER,
        "spread",
        preference=pl.when(is_a).then("preference").otherwise(1 - pl.col("preference")),
        reward_chosen=pl.when(is_a).then("reward_a").otherwise("reward_b"),
        reward_rejected=pl.when(is_a).then("reward_b").otherwise("reward_a"),
    ).sort("pair_id", *SPEAKER)
