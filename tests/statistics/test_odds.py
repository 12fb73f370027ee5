"""Log-odds and sigmoid: the polars and the numpy form are one function."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.statistics.odds import log_odds, log_sigmoid, sigmoid


@given(st.lists(st.floats(-750, 750), min_size=1))
def test_both_forms_of_sigmoid_agree(odds: list[float]) -> None:
    of_frame = pl.select(sigmoid(pl.lit(pl.Series(odds)))).to_series().to_numpy()
    assert np.allclose(of_frame, sigmoid(np.array(odds)), rtol=1e-12, atol=1e-300)


@given(st.lists(st.floats(0, 1), min_size=1))
def test_both_forms_of_log_odds_agree_and_are_finite(p: list[float]) -> None:
    of_frame = pl.select(log_odds(pl.lit(pl.Series(p)))).to_series().to_numpy()
    assert np.allclose(of_frame, log_odds(np.array(p)), rtol=1e-12)
    assert np.abs(of_frame).max() < 14


def test_log_sigmoid_is_the_log_of_sigmoid_and_finite_far_below_zero() -> None:
    found = pl.select(log_sigmoid(pl.lit(pl.Series([-800.0, -3.0, 0.0, 5.0])))).to_series()
    assert found[0] == -800
    wanted = [math.log(1 / (1 + math.exp(-x))) for x in (-3, 0, 5)]
    assert found[1:].to_list() == pytest.approx(wanted)
