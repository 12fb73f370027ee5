"""Ties: what prefers neither response."""

from __future__ import annotations

import polars as pl

from prefdata.comparisons.ties import compute_verdict, is_tie, prefers_a, prefers_b


def test_every_probability_prefers_one_or_is_a_tie() -> None:
    p = pl.Series([0.0, 0.5 - 2e-9, 0.5 - 1e-12, 0.5, 0.5 + 1e-12, 0.5 + 2e-9, 1.0, None])
    rows = pl.select(
        verdict=compute_verdict(pl.lit(p)),
        a=prefers_a(pl.lit(p)),
        b=prefers_b(pl.lit(p)),
        tie=is_tie(pl.lit(p)),
    ).to_dicts()
    assert [row["verdict"] for row in rows] == [-1, -1, 0, 0, 0, 1, 1, None]
    for row in rows[:-1]:
        assert row["a"] == (row["verdict"] == 1)
        assert row["b"] == (row["verdict"] == -1)
        assert row["tie"] == (row["verdict"] == 0)
