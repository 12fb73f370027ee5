"""Strategies that go by what single judges say: rewards, dimensions and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from compared import comparisons, select

from prefdata.errors import ConfigError
from prefdata.pairs.registry import STRATEGIES
from prefdata.records.pair import PairJudgment

Pair = tuple[str, str]


def judge(rows: pl.DataFrame, said: Mapping[Pair, list[dict[str, Any]]]) -> pl.DataFrame:
    """The comparisons with these judgments in place of others."""
    none = dict.fromkeys(PairJudgment.model_fields)
    listed = [
        [{**none, **each} for each in said.get((a, b), [])]
        for a, b in rows["chosen", "rejected"].rows()
    ]
    return rows.with_columns(judgments=pl.Series(listed, dtype=rows.schema["judgments"]))


def reasons(selected: pl.DataFrame) -> dict[Pair, str | None]:
    return {(a, b): reason for a, b, reason in selected["chosen", "rejected", "reason"].rows()}


def rank(rewards: Mapping[str, float]) -> tuple[pl.DataFrame, dict[Pair, list[dict[str, Any]]]]:
    """All comparisons of responses with these rewards, the higher one preferred."""
    best_first = sorted(rewards, key=lambda text: -rewards[text])
    pairs = [(a, b) for n, a in enumerate(best_first) for b in best_first[n + 1 :]]
    said = {
        (a, b): [{"judge": "rm", "dimension": "d", "preference": 0.7,
                  "reward_chosen": rewards[a], "reward_rejected": rewards[b]}]
        for a, b in pairs
    }  # fmt: skip
    return comparisons({("p", a, b): 0.7 for a, b in pairs}), said


REWARDS = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0, "e": -15.0}


@pytest.mark.parametrize(
    ("sigmas", "rejected"),
    # Mean -1, deviation 7.07: targets -1, 2.54 (c is at 0.54, b at 0.46), -15.1.
    [(0.0, "d"), (-0.5, "b"), (2.0, "e")],
)
def test_the_rejected_response_is_nearest_so_many_deviations_below_the_mean(
    sigmas: float, rejected: str
) -> None:
    found = reasons(select("sweet_spot", judge(*rank(REWARDS)), sigmas=sigmas))
    assert [pair for pair, reason in found.items() if reason is None] == [("a", rejected)]
    assert {reason for (one, _), reason in found.items() if one == "a"} == {None, "not_nearest"}
    assert {reason for (one, _), reason in found.items() if one != "a"} == {"not_of_best"}


def test_a_prompt_without_rewards_or_of_other_judges_makes_no_pair() -> None:
    rows, said = rank(REWARDS)
    for options, judged in (({}, {}), ({"judges": ["other"]}, said)):
        found = select("sweet_spot", judge(rows, judged), **options)
        assert set(found["reason"]) == {"no_reward"}
        assert set(found["detail"]) == {"no judge gives both responses a reward"}


def of_dimensions(**preferences: float | None) -> list[dict[str, Any]]:
    return [{"judge": name, "dimension": name, "preference": p} for name, p in preferences.items()]


def test_the_pair_is_best_in_its_weakest_dimension() -> None:
    rows = comparisons({("p", "a", "b"): 0.9, ("p", "a", "c"): 0.6, ("p", "b", "c"): 0.9,
                        ("p", "a", "d"): 0.9})  # fmt: skip
    said = {
        ("a", "b"): of_dimensions(help=0.99, harm=0.55),
        ("a", "c"): of_dimensions(help=0.7, harm=0.7),
        ("b", "c"): of_dimensions(help=0.99, harm=0.45),
        ("a", "d"): of_dimensions(help=None),
    }
    found = select("max_min", judge(rows, said))
    assert reasons(found) == {
        ("a", "c"): None,
        ("a", "b"): "not_max_min",
        ("b", "c"): "weak_dimension",
        ("a", "d"): "no_judgment",
    }
    details = dict(zip(found["rejected"] + found["chosen"], found["detail"], strict=True))
    assert details["cb"] == "smallest margin -0.1 in harm"
    harsher = reasons(select("max_min", judge(rows, said), min_margin=0.4))
    assert None not in harsher.values()


def test_right_over_wrong_where_the_label_says_so_too() -> None:
    rows = comparisons({("p", "a", "b"): 0.9, ("p", "a", "c"): 0.9, ("p", "d", "a"): 0.9,
                        ("p", "b", "d"): 0.9, ("p", "c", "e"): 0.9})  # fmt: skip
    right = {"a": 1.0, "b": 0.0, "c": 0.5, "d": 0.0}
    said = {
        (one, other): [{"judge": "exact_match", "dimension": "correctness", "preference": 0.9,
                        "reward_chosen": right[one], "reward_rejected": right[other]}]
        for one, other in rows["chosen", "rejected"].rows() if other in right
    }  # fmt: skip
    settings = {"judge": "exact_match"}
    found = reasons(select("right_wrong", judge(rows, said), **settings))
    assert found == {
        ("a", "b"): None,
        ("a", "c"): "not_right_and_wrong",
        ("d", "a"): "wrong_over_right",
        ("b", "d"): "not_right_and_wrong",
        ("c", "e"): "not_verified",
    }
    wider = reasons(select("right_wrong", judge(rows, said), **settings, wrong=0.5))
    assert wider["a", "c"] is None
    limited = reasons(select("right_wrong", judge(rows, said), **settings, wrong=0.5, per_prompt=1))
    assert limited["a", "c"] == "surplus"


def test_wrong_must_be_below_right() -> None:
    with pytest.raises(ConfigError, match=r"wrong: 1\.0 is not below right: 1\.0"):
        STRATEGIES.parse({"kind": "right_wrong", "judge": "exact_match", "wrong": 1.0})
