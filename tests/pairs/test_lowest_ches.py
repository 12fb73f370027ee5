"""Pairing by CHES: the lowest of each prompt, whatever the order of the candidates."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.errors import ConfigError
from prefdata.pairs.registry import STRATEGIES


def comparisons(*made: tuple[str, str, str, float, float | None]) -> pl.DataFrame:
    """(prompt, chosen, rejected, soft label, normalised CHES); plain CHES has the other sign."""
    rows = [
        {
            "prompt_id": prompt,
            "chosen_id": f"id {chosen}",
            "rejected_id": f"id {rejected}",
            "soft_label": label,
            "agreement": 1.0,
            "ches": None if ches is None else -ches,
            "ches_normalized": ches,
            "chosen": chosen,
            "rejected": rejected,
        }
        for prompt, chosen, rejected, label, ches in made
    ]
    return pl.DataFrame(rows, schema_overrides={"ches": pl.Float64, "ches_normalized": pl.Float64})


def reasons(rows: pl.DataFrame, **settings: Any) -> dict[tuple[str, str, str], str | None]:
    strategy = STRATEGIES.parse({"kind": "lowest_ches", **settings})
    selected = strategy.select(rows)
    assert selected.columns == [*rows.columns, "reason", "detail"]
    dropped = selected.filter(pl.col("reason").is_not_null())
    assert dropped["detail"].null_count() == 0
    return {
        tuple(row[:3]): row[3]
        for row in selected.select("prompt_id", "chosen", "rejected", "reason").iter_rows()
    }


ROWS = comparisons(
    ("p", "a", "b", 0.9, 2.0),
    ("p", "a", "c", 0.55, -5.0),
    ("p", "b", "c", 0.7, -1.0),
    ("p", "d", "c", 0.9, None),
    ("q", "x", "y", 0.6, 4.0),
)


def test_the_lowest_of_each_prompt_becomes_its_pair() -> None:
    assert reasons(ROWS) == {
        ("p", "a", "c"): None,
        ("p", "a", "b"): "not_lowest_ches_normalized",
        ("p", "b", "c"): "not_lowest_ches_normalized",
        ("p", "d", "c"): "no_ches",
        ("q", "x", "y"): None,
    }


def test_a_margin_and_plain_ches_can_be_asked_for() -> None:
    found = reasons(ROWS, min_margin=0.3, measure="ches")
    assert found[("p", "a", "b")] is None
    assert found[("p", "a", "c")] == found[("q", "x", "y")] == "below_margin"
    assert found[("p", "b", "c")] == "not_lowest_ches"


@given(st.permutations(range(ROWS.height)))
def test_the_order_of_the_comparisons_changes_nothing(order: list[int]) -> None:
    assert reasons(ROWS[order]) == reasons(ROWS)


def test_equal_measures_are_decided_by_the_texts() -> None:
    rows = comparisons(("p", "b", "a", 0.9, 1.0), ("p", "a", "b2", 0.6, 1.0))
    assert reasons(rows)[("p", "a", "b2")] is None
    assert reasons(rows.reverse()) == reasons(rows)


def test_no_comparisons() -> None:
    assert reasons(ROWS.clear()) == {}


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="min_margin"):
        STRATEGIES.parse({"kind": "lowest_ches", "min_margin": 1.5})
