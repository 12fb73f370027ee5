"""Temperatures and calibration errors, held to plain computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.consensus.calibration import calibration_error, fit_temperature, temper

labelled = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def plain_ece(rows: list[tuple[float, bool]]) -> float:
    """Ten equal bins of confidence from 0.5 to 1."""
    bins: dict[int, list[tuple[float, float]]] = {}
    for p, label in rows:
        confidence = p if p > 0.5 else 1 - p
        right = 0.5 if abs(p - 0.5) < 1e-9 else float((p > 0.5) == label)
        place = 0
        while place < 9 and confidence >= 0.5 + 0.05 * (place + 1) - 5e-11:
            place += 1
        bins.setdefault(place, []).append((confidence, right))
    error = 0.0
    for some in bins.values():
        confidence = sum(c for c, _ in some) / len(some)
        accuracy = sum(r for _, r in some) / len(some)
        error += len(some) / len(rows) * abs(confidence - accuracy)
    return error


def loss(p: np.ndarray, label: np.ndarray) -> float:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return float(-(label * np.log(p) + (1 - label) * np.log(1 - p)).sum())


@settings(max_examples=100)
@given(labelled)
def test_ece_is_that_of_a_plain_loop_and_does_not_ask_which_response_is_a(
    rows: list[tuple[float, bool]],
) -> None:
    p, label = (np.array(c, dtype=float) for c in zip(*rows, strict=True))
    assert calibration_error(p, label) == pytest.approx(plain_ece(rows), abs=1e-9)


def test_the_temperature_is_the_likeliest_of_many() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1, 2000)
    label = (rng.random(2000) < 1 / (1 + np.exp(-odds))).astype(float)
    overconfident = 1 / (1 + np.exp(-3 * odds))
    found = fit_temperature(overconfident, label)
    assert found.temperature == pytest.approx(3, rel=0.25)
    assert found.ece_after < found.ece_before / 3
    best = loss(temper(overconfident, found.temperature), label)
    for other in np.geomspace(0.05, 50, 200):
        assert best <= loss(temper(overconfident, float(other)), label) + 1e-6
