"""The best response against one that is worse by a set number of standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.judgments import average_rewards, list_judgments
from prefdata.pairs.base import Strategy, StrategyConfig
from prefdata.pairs.standings import join_rewards
from prefdata.parts.numbers import Real


class SweetSpotConfig(StrategyConfig):
    kind: Literal["sweet_spot"] = "sweet_spot"
    sigmas: Real = Field(
        2.0, ge=-10, le=10,
        description="The rejected response's reward: this many standard deviations below the mean "
        "reward of the prompt's responses.",
        examples=[0.5],
    )  # fmt: skip
    judges: list[str] | None = Field(
        None,
        description="Judges whose rewards are averaged; null: all that give rewards.",
        examples=[["pairwise"]],
    )


class SweetSpot(Strategy):
    """Pairs a prompt's best response with the one whose reward is nearest `sigmas` standard
    deviations below the mean.

    "Finding the Sweet Spot" (arXiv 2502.16825): best against the very worst gets worse as more
    responses are drawn, because the worst of many is an outlier; a rejected response at two
    standard deviations below the mean does not. Mean and population standard deviation are over the
    prompt's responses; a response's reward is the mean of what the judges give it.
    """

    config: SweetSpotConfig
    most = 1
    needs_judgments = True
    needs_rewards = True

    def judges(self) -> Sequence[str]:
        return self.config.judges or ()

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        turned = list_judgments(comparisons)
        if self.config.judges is not None:
            turned = turned.filter(pl.col("judge").is_in(self.config.judges))
        rows = join_rewards(comparisons, average_rewards(turned))
        rewards = pl.concat(
            rows.select("prompt_id", id=f"{side}_id", reward=f"reward_{side}")
            for side in ("chosen", "rejected")
        ).unique()
        reward = pl.col("reward")
        target = reward.mean() - self.config.sigmas * reward.std(ddof=0)
        # Sorted, so that the sums depend on neither the order nor the ids.
        targets = rewards.sort("prompt_id", "reward").group_by("prompt_id").agg(target=target)
        distance = (pl.col("reward_rejected") - pl.col("target")).abs().round(12)
        rows = rows.join(targets, on="prompt_id", how="left", maintain_order="left").with_columns(
            distance=distance,
            rewarded=pl.all_horizontal(pl.col("reward_chosen", "reward_rejected").is_not_null()),
        )
        rows = rows.sort(
            "prompt_id", "reward_chosen", "chosen", "distance", "rejected",
            descending=[False, True, False, False, False], nulls_last=True,
        )  # fmt: skip
        of_best = pl.col("chosen") == pl.col("chosen").first().over("prompt_id")
        first = pl.col("prompt_id").is_first_distinct()
        return rows.with_columns(
            reason=pl.when(~pl.col("rewarded"))
            .then(pl.lit("no_reward"))
            .when(~of_best)
            .then(pl.lit("not_of_best"))
            .when(~first)
            .then(pl.lit("not_nearest")),
            detail=pl.when("rewarded")
            .then(
                pl.format(
                    "reward {} against {}, wanted {}",
                    pl.col("reward_chosen").round(4),
                    pl.col("reward_rejected").round(4),
                    pl.col("target").round(4),
                )
            )
            .otherwise(pl.lit("no judge gives both responses a reward")),
        ).select(*comparisons.columns, "reason", "detail")
