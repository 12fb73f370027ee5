"""Reward scores of both answers, their margin, and every judge's opinion."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefdata.errors import ConfigError
from prefdata.records.base import polars_schema
from prefdata.records.judgment import CONSENSUS, SPEAKER
from prefdata.records.pair import AugmentedPair, Opinion


def add_rewards(
    pairs: pl.DataFrame, judgments: pl.DataFrame, rewards: Sequence[str] | None
) -> pl.DataFrame:
    """`AugmentedPair` rows: the pairs with the judges' opinions turned to their sides.

    `rewards` names the judges whose scores are averaged into the reward; None: all that score.
    """
    opinions = turned(pairs, judgments.filter(pl.col("judge") != CONSENSUS))
    scoring = opinions if rewards is None else opinions.filter(pl.col("judge").is_in(rewards))
    # Both answers or neither: else the margin would compare the means of different judges.
    scoring = scoring.drop_nulls(["score_chosen", "score_rejected"])
    means = scoring.group_by("pair_id", maintain_order=True).agg(
        reward_chosen=pl.col("score_chosen").mean(),
        reward_rejected=pl.col("score_rejected").mean(),
    )
    fields = pl.struct(list(Opinion.model_fields))
    listed = opinions.group_by("pair_id", maintain_order=True).agg(opinions=fields)
    joined = pairs.join(means, on="pair_id", how="left").join(listed, on="pair_id", how="left")
    schema = polars_schema(AugmentedPair)
    return joined.with_columns(
        margin=pl.col("reward_chosen") - pl.col("reward_rejected"),
        opinions=pl.col("opinions").fill_null([]),
    ).select(schema.names())


def turned(pairs: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
    """One row a pair and opinion, sorted by whose it is, with P(chosen ≻ rejected)."""
    keys = pairs.select(
        "pair_id",
        "prompt_id",
        response_a=pl.min_horizontal("chosen_id", "rejected_id"),
        response_b=pl.max_horizontal("chosen_id", "rejected_id"),
        chosen_is_a=pl.col("chosen_id") < pl.col("rejected_id"),
    )
    joined = keys.join(judgments, on=["prompt_id", "response_a", "response_b"], how="inner")
    is_a = pl.col("chosen_is_a")
    return joined.select(
        "pair_id",
        *SPEAKER,
        "spread",
        preference=pl.when(is_a).then("preference").otherwise(1 - pl.col("preference")),
        score_chosen=pl.when(is_a).then("score_a").otherwise("score_b"),
        score_rejected=pl.when(is_a).then("score_b").otherwise("score_a"),
    ).sort("pair_id", *SPEAKER)


def check_names(rewards: Sequence[str] | None, judges: Sequence[str]) -> None:
    """Refuse a reward that no judge gives, before any work."""
    for name in rewards or ():
        if name not in judges:
            raise ConfigError(
                f"augment.rewards: no judge is called {name!r}; judge.judges has: "
                f"{', '.join(judges)}"
            )
