"""What a response is worth beside the others of its prompt: its standing, and its mean reward."""

from __future__ import annotations

import polars as pl


def join_standings(comparisons: pl.DataFrame) -> pl.DataFrame:
    """The comparisons, sorted by text, with `standing_chosen` and `standing_rejected`.

    A response's standing is its mean P(win) over the labelled comparisons it takes part in
    (Borda).
    """
    # Sorted by text, so that the sums below depend on neither the order nor the ids.
    rows = comparisons.sort("prompt_id", "chosen", "rejected")
    wins = rows.select("prompt_id", response_id="chosen_id", value="soft_label")
    losses = rows.select("prompt_id", response_id="rejected_id", value=1 - pl.col("soft_label"))
    standings = pl.concat([wins, losses])
    return _join_means(rows, standings, "standing")


def join_rewards(comparisons: pl.DataFrame, rewards: pl.DataFrame) -> pl.DataFrame:
    """The comparisons, sorted by text, with `reward_chosen` and `reward_rejected`.

    A response's reward is its mean over the comparisons in which it has one; null where none.

    Args:
        comparisons: As a strategy gets them.
        rewards: prompt_id, chosen_id, rejected_id, reward_chosen, reward_rejected.
    """
    rows = comparisons.sort("prompt_id", "chosen", "rejected")
    on = ["prompt_id", "chosen_id", "rejected_id"]
    each = rows.select(on).join(rewards, on=on, maintain_order="left")
    sides = [
        each.select("prompt_id", response_id=f"{side}_id", value=f"reward_{side}")
        for side in ("chosen", "rejected")
    ]
    return _join_means(rows, pl.concat(sides), "reward")


def _join_means(rows: pl.DataFrame, values: pl.DataFrame, prefix: str) -> pl.DataFrame:
    means = values.group_by("prompt_id", "response_id", maintain_order=True).agg(
        # Rounded: the last bits of a label depend on the order of the two ids.
        pl.col("value").mean().round(12)
    )
    for side in ("chosen", "rejected"):
        rows = rows.join(
            means.rename({"response_id": f"{side}_id", "value": f"{prefix}_{side}"}),
            on=["prompt_id", f"{side}_id"],
            how="left",
            maintain_order="left",
        )
    return rows
