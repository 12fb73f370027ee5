"""Logistic regression without intercept on differences of two responses.

There is no intercept, because a ≻ b is the same as b ≺ a: swapping the two responses flips all
signs and changes no coefficient. Labels may be probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefdata.statistics.odds import sigmoid

_Z = 1.959964
_STEPS = 60
_PRIOR = 1e-3
_ENOUGH = 1e-10


@dataclass(frozen=True)
class Fit:
    """Coefficients (d,) in log-odds per unit, and the ends of their 95 % intervals (d,)."""

    coefficient: np.ndarray
    low: np.ndarray
    high: np.ndarray


def fit_logistic(
    difference: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """The likeliest coefficients (d,) of P(a ≻ b) = sigmoid(difference · w).

    Newton's method under a normal prior of precision 1e-3, which keeps coefficients finite where
    the data alone would not.

    Args:
        difference: a's features minus b's, (n, d).
        label: P(a ≻ b), (n,) in [0, 1].
        weight: The weight of each comparison, (n,); None: 1 each.
    """
    coefficient = np.zeros(difference.shape[1])
    counts = np.ones(len(difference)) if weight is None else weight
    for _ in range(_STEPS):
        p = sigmoid(difference @ coefficient)
        gradient = ((counts * (label - p))[:, None] * difference).sum(axis=0) - _PRIOR * coefficient
        step = np.linalg.solve(_hessian(difference, p, counts), gradient)
        # From zero a step past 1 in log-odds can overshoot; shorter ones can't diverge.
        size = float(np.abs(step).max(initial=0))
        coefficient = coefficient + step / max(1.0, size)
        if size < _ENOUGH:
            break
    return coefficient


def fit_intervals(difference: np.ndarray, label: np.ndarray, prompt: np.ndarray) -> Fit:
    """`fit_logistic` with intervals by the sandwich estimator, clustered by `prompt`.

    The comparisons of one prompt share its responses and are not independent.

    Args:
        difference: a's features minus b's, (n, d).
        label: P(a ≻ b), (n,) in [0, 1].
        prompt: The prompt of each comparison, whole numbers from 0, (n,).
    """
    coefficient = fit_logistic(difference, label)
    p = sigmoid(difference @ coefficient)
    inverse = np.linalg.inv(_hessian(difference, p, np.ones(len(difference))))
    scores = np.zeros((int(prompt.max(initial=-1)) + 1, difference.shape[1]))
    np.add.at(scores, prompt, difference * (label - p)[:, None])
    error = np.sqrt(np.diag(inverse @ (scores.T @ scores) @ inverse))
    return Fit(coefficient, coefficient - _Z * error, coefficient + _Z * error)


def _hessian(difference: np.ndarray, p: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Minus the second derivative of the log-posterior, (d, d)."""
    curved = difference * (counts * p * (1 - p))[:, None]
    return curved.T @ difference + _PRIOR * np.eye(difference.shape[1])
