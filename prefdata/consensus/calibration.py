"""Calibration: one temperature for a judge, and the expected calibration error.

Guo et al., On Calibration of Modern Neural Networks (arXiv 1706.04599, Section 4.2): the log-odds
are divided by a temperature that makes the labelled comparisons likeliest. It changes the
confidence alone, never the preferred response. Confidence decides the judge's weight among others
(MORE, arXiv 2312.07401).
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from prefdata.comparisons.ties import TOLERANCE
from prefdata.statistics.odds import log_odds, sigmoid

BINS = 10
_RANGE = (-7.0, 7.0)
_STEPS = 60


class Temperature(BaseModel):
    """A judge's temperature, and the comparisons it was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0)
    comparisons: int
    ece_before: float
    ece_after: float


def temper(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities at another temperature, (n,) -> (n,): sigmoid(log-odds / temperature)."""
    return sigmoid(log_odds(p) / temperature)


def fit_temperature(p: np.ndarray, label: np.ndarray) -> Temperature:
    """The likeliest temperature.

    The slope of the negative log-likelihood in 1/temperature never falls, so bisection finds its
    zero, within e^-7 … e^7: where all judgments are right, a lower temperature is always better.

    Args:
        p: Judgments P(a ≻ b), (n,) in [0, 1].
        label: 1 where a is better, 0 where b is, (n,).
    """
    odds = log_odds(p)
    low, high = _RANGE
    for _ in range(_STEPS):
        middle = (low + high) / 2
        slope = float(((sigmoid(odds * np.exp(-middle)) - label) * odds).sum())
        # Too cold (1/temperature too large) where the slope is positive.
        low, high = (middle, high) if slope > 0 else (low, middle)
    temperature = float(np.exp((low + high) / 2))
    return Temperature(
        temperature=temperature,
        comparisons=len(p),
        ece_before=calibration_error(p, label),
        ece_after=calibration_error(temper(p, temperature), label),
    )


def reliability_curve(p: np.ndarray, label: np.ndarray) -> list[tuple[int, float, float]]:
    """(comparisons, mean confidence, accuracy) of each of BINS equal bins of confidence.

    Confidence is that of the preferred response, from 0.5 to 1, so naming the responses the other
    way round changes nothing; a tie is half right. Empty bins are left out.
    """
    confidence = np.maximum(p, 1 - p)
    right = np.where(np.abs(p - 0.5) < TOLERANCE, 0.5, (p > 0.5) == (label > 0.5))
    # The tolerance keeps a confidence on a bin's edge from falling into the one below.
    bins = np.minimum(((confidence - 0.5) * 2 * BINS + TOLERANCE).astype(int), BINS - 1)
    rows = []
    for one in range(BINS):
        inside = bins == one
        if inside.any():
            means = (float(confidence[inside].mean()), float(right[inside].mean()))
            rows.append((int(inside.sum()), *means))
    return rows


def calibration_error(p: np.ndarray, label: np.ndarray) -> float:
    """Expected calibration error: the mean over comparisons of |accuracy - confidence| by bin."""
    rows = reliability_curve(p, label)
    total = sum(count for count, _, _ in rows)
    return sum(n * abs(accuracy - sure) for n, sure, accuracy in rows) / total if total else 0.0
