"""Pairs by the policies of their responses."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from filters.bucket import build, no_models, pairs, run_filter, texts

from prefdata.errors import ConfigError

MADE = pairs(("a", "b", "p"), ("c", "d", "p"), ("e", "f", "p"), ("g", "h", "p")).with_columns(
    chosen_policy=pl.Series(["strong", "weak", "strong", "old"]),
    rejected_policy=pl.Series(["weak", "weak", "strong", "strong"]),
)


@pytest.mark.parametrize(
    ("config", "reasons"),
    [
        ({"same": "never"}, [None, "same_policy", "same_policy", None]),
        ({"same": "always"}, ["different_policies", None, None, "different_policies"]),
        ({"only": ["strong", "weak"]}, [None, None, None, "unwanted_policy"]),
        ({"without": ["weak"]}, ["unwanted_policy", "unwanted_policy", None, None]),
        (
            {"only": ["strong", "weak"], "same": "never"},
            [None, "same_policy", "same_policy", "unwanted_policy"],
        ),
    ],
    ids=str,
)
def test_pairs_of_unwanted_policies_are_dropped_with_their_reason(
    config: dict[str, Any], reasons: list[str | None]
) -> None:
    decided = run_filter(build("policies", **config), [(MADE, texts({}))])
    assert decided.pairs["reason"].to_list() == reasons


def test_the_detail_names_both_policies_and_the_setting() -> None:
    decided = run_filter(build("policies", same="never"), [(MADE, texts({}))])
    assert decided.pairs["detail"][1] == "weak over weak; same never"


def test_no_pairs() -> None:
    made = build("policies", same="never")
    measured = made.measure(MADE.clear(), texts({}), no_models())
    assert made.decide(measured.drop("fault")).height == 0


@pytest.mark.parametrize("config", [{}, {"same": "often"}, {"only": []}], ids=str)
def test_settings_are_checked(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        build("policies", **config)


def test_it_names_its_policies() -> None:
    assert build("policies", only=["a"], without=["b"]).policies() == ["a", "b"]
    assert build("policies", same="never").policies() == []
