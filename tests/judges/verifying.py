"""Responses for verifiers, and what they make of them."""

from __future__ import annotations

from typing import Any

import polars as pl
from judges.panels import asking, candidates

from prefdata.judges import registry as lookup


def scores(
    kind: str,
    responses: list[str],
    ground_truth: str | None = None,
    finished: bool = True,
    **settings: Any,
) -> dict[str, tuple[float | None, str]]:
    """Response -> (its score, what is said of it) where all response one question."""
    given = candidates({"Why?": [*responses, "a response of no kind"]}, finished=finished)
    prompts = given.prompts.with_columns(ground_truth=pl.lit(ground_truth, dtype=pl.String))
    given = type(given)(prompts, given.responses, given.comparisons)
    judge = lookup.JUDGES[kind](settings, "judge.judges.0")
    assert judge.requirements() == []
    found = judge.judge(given, asking())
    text = dict(given.responses.select("response_id", "text").iter_rows())
    result: dict[str, tuple[float | None, str]] = {}
    for row in found.to_dicts():
        said = (row["trace"] or "[a]\n\n\n[b]\n").partition("[a]\n")[2].partition("\n\n[b]\n")
        for side, trace in (("a", said[0]), ("b", said[2])):
            score = row[f"score_{side}"]
            result[text[row[f"response_{side}"]]] = (
                score,
                row["unscored"] if score is None else trace,
            )
    return {response: result[response] for response in responses}
