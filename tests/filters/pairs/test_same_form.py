"""Pairs whose responses differ in form."""

from __future__ import annotations

import polars as pl
from filters.bucket import build, pairs, run_filter, texts


def test_only_pairs_of_two_forms_are_dropped() -> None:
    made = pairs(("a", "b", "p"), ("c", "d", "p")).with_columns(same_form=pl.Series([True, False]))
    decided = run_filter(build("same_form"), [(made, texts({})), (made.clear(), texts({}))])
    assert decided.reasons() == {"p:a>b": None, "p:c>d": "other_form"}
