"""Scores and margins that stand beside a pair."""

from __future__ import annotations

from typing import Any

from prefdata.sources.rows.values import is_number

SCORES = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"))


def read_margin(row: dict[str, Any]) -> float | None:
    """The dataset's own margin of a pair: the better score minus the other; None: it has none."""
    for name in ("reward_margin", "margin"):
        if isinstance(row.get(name), int | float):
            return float(row[name])
    scores = read_scores(row)
    return None if scores is None else scores[0] - scores[1]


def read_scores(row: dict[str, Any]) -> tuple[float, float] | None:
    """The dataset's own scores of the chosen and the rejected response; None where it has none."""
    for better, worse in SCORES:
        scores = row.get(better), row.get(worse)
        if all(is_number(score) for score in scores):
            return float(scores[0]), float(scores[1])  # type: ignore[arg-type]
    return None
