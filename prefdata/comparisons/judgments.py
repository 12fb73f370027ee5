"""The judgments of pairs, turned to chosen and rejected."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.records.judgment import SPEAKER
from prefdata.records.pair import PairJudgment

_PAIR = ["prompt_id", "chosen_id", "rejected_id"]


def turn_judgments(pairs: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per pair and judgment on it, turned to chosen and rejected, sorted by pair and by who
    judged.

    Args:
        pairs: Rows with prompt_id, chosen_id and rejected_id.
        judgments: `Judgment` rows, with or without `trace`.

    Returns:
        prompt_id, chosen_id, rejected_id and the fields of `PairJudgment`.
    """
    keys = pairs.select(
        *_PAIR,
        response_a=pl.min_horizontal("chosen_id", "rejected_id"),
        response_b=pl.max_horizontal("chosen_id", "rejected_id"),
        chosen_is_a=pl.col("chosen_id") < pl.col("rejected_id"),
    )
    rows = keys.join(judgments, on=COMPARISON)
    is_a = pl.col("chosen_is_a")
    return rows.select(
        *_PAIR,
        *SPEAKER,
        "spread",
        preference=pl.when(is_a).then("preference").otherwise(1 - pl.col("preference")),
        reward_chosen=pl.when(is_a).then("reward_a").otherwise("reward_b"),
        reward_rejected=pl.when(is_a).then("reward_b").otherwise("reward_a"),
    ).sort(*_PAIR, *SPEAKER)


def average_rewards(turned: pl.DataFrame) -> pl.DataFrame:
    """The mean rewards of each pair's responses, over the judges that give both a reward.

    Args:
        turned: Rows of `turn_judgments`.

    Returns:
        prompt_id, chosen_id, rejected_id, reward_chosen, reward_rejected; no row for a pair without
        such a judge.
    """
    # Only judges with both rewards: else the margin would compare means of different judges.
    both = turned.drop_nulls(["reward_chosen", "reward_rejected"])
    return both.group_by(_PAIR, maintain_order=True).agg(
        pl.col("reward_chosen", "reward_rejected").mean()
    )


def join_judgments(pairs: pl.DataFrame, turned: pl.DataFrame) -> pl.DataFrame:
    """The pairs, in their order, with `judgments`: a list of `PairJudgment`, empty where there are
    none."""
    fields = pl.struct(list(PairJudgment.model_fields))
    listed = turned.group_by(_PAIR, maintain_order=True).agg(judgments=fields)
    return pairs.join(listed, on=_PAIR, how="left", maintain_order="left").with_columns(
        pl.col("judgments").fill_null([])
    )


def list_judgments(pairs: pl.DataFrame, keys: Sequence[str] = _PAIR) -> pl.DataFrame:
    """One row per judgment in `judgments` of the pairs, in their order: the keys and the fields of
    `PairJudgment`."""
    rows = pairs.select(*keys, "judgments").filter(pl.col("judgments").list.len() > 0)
    return rows.explode("judgments", empty_as_null=False).unnest("judgments")
