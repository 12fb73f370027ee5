"""The figures of the benchmark labels: agreement with its interval, and SCIR against each judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import TOLERANCE
from prefdata.consensus.registry import CONSENSUSES
from prefdata.records import Judgment
from prefdata.records.base import fill_columns
from prefdata.records.judgment import HELPFULNESS
from prefdata.statistics.bootstrap import resample_shares


def measure_agreement(right: np.ndarray, prompt: np.ndarray) -> dict[str, Any]:
    """Share of rights (n,) with its interval over resampled prompts (n, whole numbers)."""
    if not len(right):
        return {"agreement": None, "low": None, "high": None, "pairs": 0}
    shares = resample_shares(right, prompt, int(prompt.max()) + 1)
    low, high = np.nanquantile(shares, [0.025, 0.975])
    return {
        "agreement": round(float(right.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "pairs": len(right),
    }


def score_judgments(p: pl.Series, label: pl.Series) -> np.ndarray:
    """1 where the judgment is right, 0.5 where it prefers neither."""
    margin = p.fill_null(0.5).to_numpy() - 0.5
    right = (margin > 0) == (label.to_numpy() > 0.5)
    return np.where(np.abs(margin) < TOLERANCE, 0.5, right)


def compare_with_singles(test: pl.DataFrame, names: list[str]) -> dict[str, Any]:
    """Agreement on the pairs that SCIR keeps, and on as many chosen by each judge's confidence."""
    judgments = test.select(*COMPARISON, *names).unpivot(
        names, index=COMPARISON, variable_name="judge", value_name="preference"
    )
    judgments = fill_columns(judgments, Judgment).with_columns(dimension=pl.lit(HELPFULNESS))
    prompt = test["prompt_id"].rank("dense").to_numpy().astype(np.int64) - 1
    figures: dict[str, Any] = {"pairs": test.height}
    for confidence in (0.5, 0.7, 0.8):
        limits = {"min_judgments": len(names), "min_confidence": confidence}
        scir = CONSENSUSES.parse({"kind": "scir", **limits})
        scir.setup()
        decided = test.select(COMPARISON).join(
            scir.combine(judgments, pl.DataFrame()),
            on=COMPARISON,
            how="left",
            maintain_order="left",
        )
        labelled = decided["reason"].is_null().to_numpy()
        if not labelled.any():
            continue
        right = score_judgments(decided["preference"], test["label"])
        ours = measure_agreement(right[labelled], prompt[labelled])
        singles = {}
        for name in names:
            sure = (test[name] - 0.5).abs().to_numpy()
            first = np.argsort(-sure, kind="stable")[: int(labelled.sum())]
            chosen = np.zeros(len(sure), dtype=bool)
            chosen[first] = True
            alone = score_judgments(test[name], test["label"])
            singles[name] = {
                **measure_agreement(alone[chosen], prompt[chosen]),
                "scir_is_better_by": measure_difference(right, labelled, alone, chosen, prompt),
            }
        figures[f"min_confidence_{confidence}"] = {"scir": ours, "alone": singles}
    return figures


def measure_difference(
    right: np.ndarray,
    labelled: np.ndarray,
    other: np.ndarray,
    chosen: np.ndarray,
    prompt: np.ndarray,
) -> dict[str, float]:
    """SCIR's agreement minus the single judgment's, both on the same resampled prompts."""
    size = int(prompt.max()) + 1
    ours, alone = (
        resample_shares(hits[of], prompt[of], size)
        for hits, of in ((right, labelled), (other, chosen))
    )
    low, high = np.quantile(ours - alone, [0.025, 0.975])
    return {
        "difference": round(float(right[labelled].mean() - other[chosen].mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }
