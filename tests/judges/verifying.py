"""Responses for verifiers, and the rewards they get."""

from __future__ import annotations

from typing import Any

import polars as pl
from judges.panels import asking, build, candidates

OTHER = "an answer of no kind"
"""What every response is compared with."""


def rewards(
    kind: str,
    responses: list[str],
    ground_truth: str | None = None,
    finished: bool = True,
    **settings: Any,
) -> dict[str, tuple[float | None, str]]:
    """Response -> (its reward, its trace or why it has none), all to one prompt."""
    given = candidates({"Why?": [*responses, OTHER]}, finished=finished)
    prompts = given.prompts.with_columns(ground_truth=pl.lit(ground_truth, dtype=pl.String))
    (other,) = given.responses.filter(text=OTHER)["response_id"]
    compared = (pl.col("response_a") == other) | (pl.col("response_b") == other)
    given = type(given)(prompts, given.responses, given.comparisons.filter(compared))
    judge = build(kind, **settings)
    assert not judge.requirements()
    found = judge.judge(given, asking())
    text = dict(given.responses.select("response_id", "text").iter_rows())
    result: dict[str, tuple[float | None, str]] = {}
    for row in found.to_dicts():
        traces = (row["trace"] or "[a]\n\n\n[b]\n").partition("[a]\n")[2].partition("\n\n[b]\n")
        for side, trace in (("a", traces[0]), ("b", traces[2])):
            reward = row[f"reward_{side}"]
            result[text[row[f"response_{side}"]]] = (
                reward,
                row["unscored"] if reward is None else trace,
            )
    return {response: result[response] for response in responses}
