"""Pairs with the texts of their answers beside the ids."""

from __future__ import annotations

import polars as pl


def with_texts(pairs: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """The pairs, in their order, with the texts `chosen` and `rejected`.

    `pairs` hold chosen_id and rejected_id, `answers` response_id and text.
    """
    texts = answers.select("response_id", "text")
    for side in ("chosen", "rejected"):
        pairs = pairs.join(
            texts.rename({"text": side}),
            left_on=f"{side}_id",
            right_on="response_id",
            how="left",
            maintain_order="left",
        )
    return pairs
