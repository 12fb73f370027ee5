"""The data of an audit: judgments with the text features of both responses."""

from __future__ import annotations

import polars as pl

from prefdata.comparisons.ties import compute_verdict
from prefdata.text.features import NAMES, text_features

_MAKERS = ("policy", "model")


def measure_responses(responses: pl.DataFrame) -> pl.DataFrame:
    """response_id, `policy`, `model` (fingerprint) and the text features of each response."""
    return responses.select("response_id", *_MAKERS, *text_features(pl.col("text")))


def join_differences(judgments: pl.DataFrame, measured: pl.DataFrame) -> pl.DataFrame:
    """The judgments with both responses' policies and models, and the differences between them.

    Args:
        judgments: `Judgment` rows.
        measured: Rows of `measure_responses`.

    Returns:
        The judgments with `policy_a`, `policy_b`, `model_a`, `model_b`, the features (a's minus
        b's) and `verdict`: 1 for a, -1 for b, 0 for neither, null where Unscored.
    """
    rows = judgments
    for side in ("a", "b"):
        names = {name: f"{name}_{side}" for name in (*_MAKERS, *NAMES)}
        features = measured.rename({"response_id": f"response_{side}", **names})
        rows = rows.join(features, on=f"response_{side}", how="left", maintain_order="left")
    return rows.with_columns(
        compute_verdict(pl.col("preference")).alias("verdict"),
        *[(pl.col(f"{name}_a") - pl.col(f"{name}_b")).alias(name) for name in NAMES],
    ).drop(f"{name}_{side}" for name in NAMES for side in ("a", "b"))
