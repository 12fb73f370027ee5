"""Strong policies against weak ones: whose responses are paired, and that the label decides."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.errors import ConfigError
from prefdata.pairs.registry import STRATEGIES

BOTH = {"strong": ["big", "old"], "weak": ["small"]}


def comparisons(*made: tuple[str, str, str, str, str, float]) -> pl.DataFrame:
    """(prompt, chosen policy, chosen, rejected policy, rejected, soft label)."""
    columns = ["prompt_id", "chosen_policy", "chosen", "rejected_policy", "rejected", "soft_label"]
    return pl.DataFrame(made, schema=columns, orient="row").with_columns(
        chosen_id=pl.col("chosen").reverse(), rejected_id=pl.col("rejected").reverse()
    )


def reasons(rows: pl.DataFrame, **settings: Any) -> dict[tuple[str, str, str], str | None]:
    strategy = STRATEGIES.parse({"kind": "strong_weak", **BOTH, **settings})
    selected = strategy.select(rows)
    assert selected.columns == [*rows.columns, "reason", "detail"]
    assert selected["detail"].null_count() == 0
    return {
        tuple(row[:3]): row[3]
        for row in selected.select("prompt_id", "chosen", "rejected", "reason").iter_rows()
    }


ROWS = comparisons(
    ("p", "big", "a", "small", "x", 0.7),
    ("p", "old", "b", "small", "x", 0.9),
    ("p", "big", "a", "small", "y", 0.9),
    ("p", "big", "a", "old", "b", 0.99),
    ("p", "small", "x", "small", "y", 0.99),
    ("p", "small", "y", "old", "b", 0.99),
    ("p", "other", "c", "small", "x", 0.99),
    ("q", "old", "d", "small", "z", 0.6),
)


def test_the_largest_margin_of_a_strong_over_a_weak_policy_becomes_the_pair() -> None:
    assert reasons(ROWS) == {
        ("p", "a", "y"): None,
        ("p", "b", "x"): "smaller_margin",
        ("p", "a", "x"): "smaller_margin",
        ("p", "a", "b"): "not_strong_and_weak",
        ("p", "x", "y"): "not_strong_and_weak",
        ("p", "y", "b"): "weak_over_strong",
        ("p", "c", "x"): "not_strong_and_weak",
        ("q", "d", "z"): None,
    }


@pytest.mark.parametrize(("per_prompt", "pairs"), [(1, 2), (2, 3), (3, 4), (None, 4)])
def test_as_many_as_per_prompt_allows(per_prompt: int | None, pairs: int) -> None:
    found = reasons(ROWS, per_prompt=per_prompt)
    assert list(found.values()).count(None) == pairs
    made = STRATEGIES.parse({"kind": "strong_weak", **BOTH, "per_prompt": per_prompt})
    assert made.most == per_prompt


@given(st.permutations(range(ROWS.height)))
def test_the_order_of_the_comparisons_changes_nothing(order: list[int]) -> None:
    assert reasons(ROWS[order]) == reasons(ROWS)


def test_the_detail_names_the_policies_and_the_setting() -> None:
    strategy = STRATEGIES.parse({"kind": "strong_weak", **BOTH})
    turned = strategy.select(ROWS).filter(reason="weak_over_strong")
    assert turned["detail"].to_list() == ["small over old, margin 0.98, per_prompt 1"]


def test_no_comparisons() -> None:
    assert reasons(ROWS.clear()) == {}


@pytest.mark.parametrize(
    "settings", [{"strong": []}, {"weak": ["small", "big"]}, {"per_prompt": 0}], ids=str
)
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        STRATEGIES.parse({"kind": "strong_weak", **BOTH, **settings})
    assert STRATEGIES.parse({"kind": "strong_weak", **BOTH}).policies() == ["big", "old", "small"]
