"""The comparisons that an audit works on: judgments beside what can be counted in the responses."""

from __future__ import annotations

import polars as pl

from prefdata.text.features import NAMES, text_features

KEYS = ["prompt_id", "response_a", "response_b"]
TIE = 1e-9
"""Judgments closer than this to 0.5 prefer neither."""


def sides(responses: pl.DataFrame) -> pl.DataFrame:
    """response_id, `model` (fingerprint) and a number for each text feature of each response."""
    return responses.select("response_id", "model", *text_features(pl.col("text")))


def compared(judgments: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """The judgments with both responses' models and the differences.

    `responses` come from `sides`. Adds `model_a`, `model_b`, the feature names (a's number minus
    b's) and `verdict`: 1 for a, -1 for b, 0 for neither, null where Unscored.
    """
    rows = judgments
    for side in ("a", "b"):
        names = {name: f"{name}_{side}" for name in ("model", *NAMES)}
        own = responses.rename({"response_id": f"response_{side}", **names})
        rows = rows.join(own, on=f"response_{side}", how="left", maintain_order="left")
    return rows.with_columns(
        verdict(pl.col("preference")).alias("verdict"),
        *[(pl.col(f"{name}_a") - pl.col(f"{name}_b")).alias(name) for name in NAMES],
    ).drop(f"{name}_{side}" for name in NAMES for side in ("a", "b"))


def verdict(p: pl.Expr) -> pl.Expr:
    """1 where P(a ≻ b) prefers a, -1 where it prefers b, 0 where neither; null stays null."""
    return pl.when((p - 0.5).abs() <= TIE).then(0).otherwise((p - 0.5).sign()).cast(pl.Int8)
