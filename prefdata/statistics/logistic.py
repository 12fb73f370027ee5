"""A logistic regression without intercept on differences, with intervals by prompt.

Every comparison a ≻ b is at once b ≺ a, so there is no intercept: naming the responses the other
way round turns all signs and changes nothing. Labels may be probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_Z = 1.959964
_STEPS = 60
_PRIOR = 1e-3


@dataclass(frozen=True)
class Fit:
    """Coefficients (d,) in log-odds a unit, and the ends of their 95 % intervals (d,)."""

    coefficient: np.ndarray
    low: np.ndarray
    high: np.ndarray


def logistic(difference: np.ndarray, label: np.ndarray, prompt: np.ndarray) -> Fit:
    """Fit P(a ≻ b) = sigmoid(difference · w), (n, d) and (n,) in [0, 1].

    Newton's method under a normal prior of precision 1e-3, which holds coefficients finite where
    the data would not. Intervals are those of the sandwich estimator clustered by `prompt` (n,
    whole numbers): the comparisons of one prompt share its responses and are not independent.
    """
    features = difference.shape[1]
    weights = np.zeros(features)
    hessian = np.eye(features)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(difference @ weights, -30, 30)))
        gradient = difference.T @ (label - p) - _PRIOR * weights
        hessian = (difference * (p * (1 - p))[:, None]).T @ difference + _PRIOR * np.eye(features)
        step = np.linalg.solve(hessian, gradient)
        size = float(np.abs(step).max(initial=0))
        weights = weights + step / max(1.0, size)
        if size < 1e-9:
            break
    p = 1 / (1 + np.exp(-np.clip(difference @ weights, -30, 30)))
    scores = np.zeros((int(prompt.max(initial=-1)) + 1, features))
    np.add.at(scores, prompt, difference * (label - p)[:, None])
    inverse = np.linalg.inv(hessian)
    error = np.sqrt(np.diag(inverse @ (scores.T @ scores) @ inverse))
    return Fit(weights, weights - _Z * error, weights + _Z * error)
