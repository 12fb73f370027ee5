"""Pairs that stand twice, that contradict one another, or that contradict their own scores."""

from __future__ import annotations

import polars as pl

from prefdata.checks.base import CheckedDataset, Found

_IDS = ("prompt_id", "chosen_id", "rejected_id")


def check_duplicates(dataset: CheckedDataset, found: Found) -> None:
    """Pairs that stand in an earlier row too."""
    pairs = dataset.pairs
    first = pl.col("place").first().over(_IDS)
    again = pairs.filter(~pl.struct(_IDS).is_first_distinct()).height
    if not again:
        return
    rows = pairs.with_columns(detail=pl.format("as in {}", first)).filter(
        ~pl.struct(_IDS).is_first_distinct()
    )
    found.add_rows(
        "duplicate",
        "warning",
        rows,
        pairs.height,
        "the same pair stands in an earlier row",
        "Leave one: repeated rows count as often in training.",
    )


def check_contradictions(dataset: CheckedDataset, found: Found) -> None:
    """Pairs that another row has the other way round."""
    pairs = dataset.pairs.filter(pl.col("chosen").is_not_null() & pl.col("rejected").is_not_null())
    turned = pairs.select(
        "prompt_id",
        chosen_id="rejected_id",
        rejected_id="chosen_id",
        detail=pl.format("exchanged in {}", "place"),
    ).unique(_IDS, keep="first", maintain_order=True)
    rows = pairs.join(turned, on=_IDS, how="inner", maintain_order="left")
    found.add_rows(
        "contradiction",
        "error",
        rows,
        pairs.height,
        "another row has the same prompt with chosen and rejected exchanged",
        "Decide which one is right, or leave both out: together they teach nothing.",
    )


def check_labels(dataset: CheckedDataset, found: Found) -> None:
    """Responses that are desired in one row and undesired in another."""
    alone = dataset.pairs.filter(pl.any_horizontal(pl.col("chosen", "rejected").is_null()))
    sides = alone.with_columns(response=pl.coalesce("chosen_id", "rejected_id"))
    keys = ("prompt_id", "response")
    both = pl.col("chosen").is_null().n_unique().over(keys) > 1
    found.add_rows(
        "contradiction",
        "error",
        sides.filter(both),
        alone.height,
        "the same response is desired in one row and undesired in another",
        "Decide which label is right, or leave both out.",
    )


def check_scores(dataset: CheckedDataset, found: Found) -> None:
    """Pairs whose scores say that the rejected response is better, or neither."""
    scored = dataset.pairs.drop_nulls(["chosen_score", "rejected_score"])
    chosen, rejected = pl.col("chosen_score"), pl.col("rejected_score")
    detailed = scored.with_columns(detail=pl.format("{} against {}", chosen, rejected))
    found.add_rows(
        "score_order",
        "warning",
        detailed.filter(chosen < rejected),
        scored.height,
        "the rejected response has the higher score",
        "Find out which of the two is right; scores and labels of different judges may differ.",
    )
    found.add_rows(
        "score_tie",
        "warning",
        detailed.filter(chosen == rejected),
        scored.height,
        "both responses have the same score",
        "Leave ties out: which of the two is chosen was a matter of chance.",
    )
