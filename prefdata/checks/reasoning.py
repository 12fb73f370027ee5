"""Thoughts and calls in one of the two responses alone: such a pair teaches the form."""

from __future__ import annotations

import polars as pl

from prefdata.checks.base import CheckedDataset, Found
from prefdata.messages.marks import KNOWN
from prefdata.messages.thoughts import cut_texts

_SIDES = ("chosen", "rejected")


def check_reasoning(dataset: CheckedDataset, found: Found) -> None:
    """Pairs of which one response alone has thoughts, ends inside them, or calls tools."""
    pairs = dataset.pairs.with_columns(
        flag for side in _SIDES for flag in _find_thoughts(dataset.pairs, side)
    )
    whole = pairs.drop_nulls(["chosen", "rejected"])
    thinks = [pl.col(f"{side}_thinks") for side in _SIDES]
    only = pl.when(thinks[0]).then(pl.lit("chosen")).otherwise(pl.lit("rejected"))
    found.add_rows(
        "unequal_thoughts",
        "warning",
        whole.filter(thinks[0] != thinks[1]).with_columns(detail=pl.format("{} alone", only)),
        whole.height,
        "one of the two responses alone has thoughts",
        "Such a pair teaches the form, not what is said: filter same_form, or draw both "
        "responses alike.",
    )
    unended = pl.any_horizontal(pl.col(f"{side}_unended").fill_null(False) for side in _SIDES)
    found.add_rows(
        "unended_thoughts",
        "warning",
        pairs.filter(unended),
        pairs.height,
        "a response ends inside its thoughts",
        "Leave it out, or draw it again with more tokens.",
    )
    calls = [pl.col(f"{side}_calls") for side in _SIDES]
    found.add_rows(
        "unequal_calls",
        "note",
        whole.filter(calls[0] != calls[1]),
        whole.height,
        "one of the two responses alone calls tools",
        "Right where calling is what is taught; else filter same_form.",
    )


def _find_thoughts(pairs: pl.DataFrame, side: str) -> list[pl.Series]:
    """Whether each response of the side has thoughts, and whether it ends inside them."""
    texts = pairs.select(text=side).with_row_index("row").drop_nulls()
    cut = cut_texts(texts, list(KNOWN.values()))
    marked = (
        pairs.select(f"{side}_thoughts")
        .with_row_index("row")
        .join(
            cut.select("row", "thoughts", ended=pl.col("response").is_not_null()),
            on="row",
            how="left",
            maintain_order="left",
        )
    )
    spoken = pl.coalesce(f"{side}_thoughts", "thoughts").str.strip_chars() != ""
    return [
        marked.select(spoken.fill_null(False).alias(f"{side}_thinks")).to_series(),
        marked.select((~pl.col("ended")).alias(f"{side}_unended")).to_series(),
    ]
