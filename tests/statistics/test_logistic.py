"""Logistic regression against scikit-learn, and what must hold of its intervals."""

from __future__ import annotations

import numpy as np
import pytest

from prefdata.statistics.logistic import fit_intervals, fit_logistic


def test_the_logistic_fit_is_that_of_scikit_learn_and_turns_with_the_responses() -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="[embeddings] is not installed")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    y = (rng.random(500) < 1 / (1 + np.exp(-x @ [1.0, -0.5, 0.0]))).astype(float)
    found = fit_intervals(x, y, np.arange(500))
    plain = linear.LogisticRegression(C=1000, fit_intercept=False, tol=1e-10).fit(x, y)
    assert np.allclose(found.coefficient, plain.coef_[0], atol=1e-4)
    turned = fit_intervals(-x, 1 - y, np.arange(500))
    assert np.allclose(found.coefficient, turned.coefficient)
    # One observation a cluster: the sandwich is close to the likelihood's own errors.
    p = 1 / (1 + np.exp(-x @ found.coefficient))
    own = np.sqrt(np.diag(np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x)))
    assert np.allclose((found.high - found.low) / 2 / 1.96, own, rtol=0.15)


def test_copies_of_a_prompt_make_no_interval_narrower() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 1)), rng.random(100)
    once = fit_intervals(x, y, np.arange(100))
    copied = fit_intervals(np.tile(x, (5, 1)), np.tile(y, 5), np.tile(np.arange(100), 5))
    assert np.allclose(once.high - once.low, copied.high - copied.low, rtol=0.01)


def test_a_weight_counts_as_so_many_comparisons() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), rng.random(60)
    weight = rng.integers(0, 4, 60)
    repeated = fit_logistic(np.repeat(x, weight, axis=0), np.repeat(y, weight))
    assert np.allclose(fit_logistic(x, y, weight.astype(float)), repeated)
