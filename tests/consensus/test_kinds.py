"""Every way of reaching a consensus on cases small enough to check by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from consensus.cases import Q, label, rows, world
from consensus.table import VARIANTS, World, build, decide, tables

from prefdata.comparisons.win_matrix import build_win_matrices, find_cycles
from prefdata.consensus.base import SummaryConsensus
from prefdata.consensus.bradley_terry import fit_strengths
from prefdata.errors import ConfigError


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_second_criterion_is_asked_only_where_the_first_cannot_decide() -> None:
    given = world(
        {
            "pairwise": {"x": 2.0, "y": 0.0, "z": 0.1},
            "implicit_reward": {"x": 0.0, "y": 5.0, "z": 0.0},
        }
    )
    assert label("hierarchical", given) == {"xy": "x", "xz": "x", "yz": "y"}
    assert rows("hierarchical", given)["xy"]["preference"] == pytest.approx(sigmoid(2))


def test_a_criterion_that_failed_is_not_passed_over() -> None:
    given = world({"pairwise": {"x": None, "y": 0.0}, "implicit_reward": {"x": 0.0, "y": 5.0}})
    assert label("hierarchical", given) == {"xy": "missing_criterion"}
    # What comes after the one that decides may be missing.
    given = world({"pairwise": {"x": 3.0, "y": 0.0}, "implicit_reward": {"x": None, "y": 5.0}})
    assert label("hierarchical", given) == {"xy": "x"}


def test_criteria_that_all_find_the_responses_alike_make_a_tie() -> None:
    given = world({"pairwise": {"x": 0.1, "y": 0.0}, "implicit_reward": {"x": 0.1, "y": 0.0}})
    assert label("hierarchical", given) == {"xy": "tie"}


def test_weights_of_dimensions_are_shares_of_log_odds() -> None:
    given = world(
        {
            "pairwise": {"x": 2.0, "y": 0.0},
            "implicit_reward": {"x": 1.0, "y": 0.0},
            "safe": {"x": 0.0, "y": 4.0},
        }
    )
    weights = {"helpfulness": 3.0, "safety": 1.0}
    row = rows("weighted_sum", given, weights=weights)["xy"]
    assert row["preference"] == pytest.approx(sigmoid((3 * 1.5 - 4) / 4))
    assert label("weighted_sum", given, weights={"helpfulness": 0, "safety": 2}) == {"xy": "y"}
    given = world({"pairwise": {"x": 2.0, "y": 0.0}, "safe": {"x": None, "y": 4.0}})
    assert label("weighted_sum", given, weights=weights) == {"xy": "missing_dimension"}


def test_log_sigmoid_sum_wants_a_response_that_is_good_by_all() -> None:
    # x is excellent by one judge and poor by the other; y is fair by both. The sum of raw
    # rewards would prefer x.
    given = world(
        {
            "pairwise": {"x": 9.0, "y": 1.0, "z": 0.0},
            "implicit_reward": {"x": -5.0, "y": 1.0, "z": 0.0},
        }
    )
    assert label("log_sigmoid_sum", given)["xy"] == "y"
    # By hand: medians are 1 and 0.
    x = math.log(sigmoid(9 - 1)) + math.log(sigmoid(-5 - 0))
    y = math.log(sigmoid(1 - 1)) + math.log(sigmoid(1 - 0))
    assert rows("log_sigmoid_sum", given)["xy"]["preference"] == pytest.approx(sigmoid(x - y))


def test_strengths_are_the_likeliest_ones() -> None:
    # Of consistent comparisons Bradley-Terry gives back the strengths they come from.
    true = np.array([1.0, 0.2, -1.2])
    wins = 1 / (1 + np.exp(-(true[:, None] - true[None, :])))
    np.fill_diagonal(wins, np.nan)
    found = fit_strengths(wins[None], 1e-9)[0]
    assert np.allclose(found - found.mean(), true, atol=1e-6)
    # One response that wins everything for sure stays finite, and at the likelihood's maximum.
    sure = np.array([[[np.nan, 1.0], [0.0, np.nan]]])
    strength = fit_strengths(sure, 0.01)[0]
    gap = strength[0] - strength[1]
    assert 1 - sigmoid(gap) == pytest.approx(0.01 * strength[0], abs=1e-8)


def test_a_circle_is_a_tie_to_bradley_terry_and_kept_by_general_preferences() -> None:
    given = world({"pairwise": dict.fromkeys("xyz", 0.0)})
    for judge in ("pairwise", "implicit_reward", "safe"):
        for a, b in ("xy", "yz", "zx"):
            given.against[judge, Q, a, b] = 0.8
    assert set(label("bradley_terry", given).values()) == {"tie"}
    assert label("general", given) == {"xy": "x", "yz": "y", "xz": "z"}
    assert {r["flag"] for r in rows("general", given).values()} == {"cycle"}
    assert set(label("general", given, cycles="drop").values()) == {"cycle"}


def test_a_circle_holds_those_on_it_alone() -> None:
    wins = np.full((4, 4), 0.9)
    for i, j in ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)):
        wins[i, j], wins[j, i] = 0.9, 0.1
    circle = find_cycles(wins[None])[0]
    assert circle[:3, :3].all()
    assert not circle[3, :3].any()
    assert not circle[:3, 3].any()


def test_the_win_matrix_holds_each_judges_own_preferences() -> None:
    given = world({"pairwise": {"x": 2.0, "y": 0.0, "z": None}})
    judgments, _ = tables(given)
    found = build_win_matrices(judgments)
    assert found.height == 3
    one = found.filter(pl.col("judge") == "pairwise").to_dicts()[0]
    said = judgments.filter(pl.col("judge") == "pairwise").to_dicts()
    assert one["responses"] == sorted(
        {r["response_a"] for r in said} | {r["response_b"] for r in said}
    )
    for row in said:
        i, j = (one["responses"].index(row[c]) for c in ("response_a", "response_b"))
        p = row["preference"]
        assert one["wins"][i][j] == p
        assert one["wins"][j][i] == (None if p is None else 1 - p)
        assert one["wins"][i][i] is None


def test_the_common_order_keeps_the_longest_chain_both_judges_see() -> None:
    # one: w x y z; two: x y z w. Both see x y z in this order; w is out of place.
    given = world(
        {
            "pairwise": {"w": 4.5, "x": 3.0, "y": 2.0, "z": 1.0},
            "implicit_reward": {"w": 0.0, "x": 3.0, "y": 2.0, "z": 1.0},
        }
    )
    found = label("agreement_ranking", given)
    assert {k: v for k, v in found.items() if "w" not in k} == {"xy": "x", "xz": "x", "yz": "y"}
    assert {v for k, v in found.items() if "w" in k} == {"not_in_common_order"}


def test_what_both_judges_see_outside_the_longest_order_is_dropped() -> None:
    # Both see x > y > z, and w > v, but w and v stand to the others differently.
    given = world(
        {
            "pairwise": {"x": 9.0, "y": 8.0, "z": 7.0, "w": 2.0, "v": 1.0},
            "implicit_reward": {"x": 3.0, "y": 2.0, "z": 1.0, "w": 9.0, "v": 8.0},
        }
    )
    found = label("agreement_ranking", given)
    assert found["xy"] == "x"
    assert found["vw"] == "not_in_common_order"


def test_the_least_confident_are_marked_smoothed_and_dropped() -> None:
    given = world(
        {j: {"x": 4.0, "y": 1.0, "z": 0.5} for j in ("pairwise", "implicit_reward", "safe")}
    )
    # Margins: xy 3, xz 3.5, yz 0.5.
    found = rows("noise_aware", given, least_confident=0.4, smoothing=0.2, drop=0)
    p = sigmoid(0.5)
    assert found["yz"]["preference"] == pytest.approx(0.8 * p + 0.2 * (1 - p))
    assert [found[k]["flag"] for k in ("xy", "xz", "yz")] == [None, None, "least_confident"]
    assert found["xy"]["preference"] == pytest.approx(sigmoid(3))
    assert label("noise_aware", given, drop=0.4)["yz"] == "below_threshold"


@pytest.mark.parametrize(
    ("one", "others", "flag", "preference"),
    [
        (2.0, 1.5, None, sigmoid(2)),
        (2.0, 0.2, "ambiguous", 0.9 * sigmoid(2) + 0.1 * (1 - sigmoid(2))),
        (2.0, -0.9, "ambiguous", 0.9 * sigmoid(2) + 0.1 * (1 - sigmoid(2))),
        (2.0, -1.5, "flipped", 1 - sigmoid(2)),
        (-2.0, 1.5, "flipped", sigmoid(2)),
    ],
)
def test_strength_bands(one: float, others: float, flag: str | None, preference: float) -> None:
    rewards = {j: {"x": others, "y": 0.0} for j in ("implicit_reward", "safe")}
    row = rows("strength", world({"pairwise": {"x": one, "y": 0.0}, **rewards}))["xy"]
    assert row["flag"] == flag
    assert row["preference"] == pytest.approx(preference)


def test_judges_who_are_far_apart_make_a_label_ambiguous() -> None:
    given = world(
        {
            "pairwise": {"x": 3.0, "y": 0.0},
            "implicit_reward": {"x": 5.0, "y": 0.0},
            "safe": {"x": 0.0, "y": 0.0},
        }
    )
    assert rows("strength", given)["xy"]["flag"] is None
    assert rows("strength", given, max_spread=2)["xy"]["flag"] == "ambiguous"
    assert label("strength", given, max_spread=2, ambiguous="drop") == {"xy": "ambiguous"}


@pytest.mark.parametrize(("spread", "flag"), [(3.9, None), (4.1, "ambiguous"), (None, None)])
def test_an_ensembles_own_spread_makes_a_label_ambiguous(
    spread: float | None, flag: str | None
) -> None:
    """Rewards of twice the log-odds: the margin 6 is 3 in log-odds, a spread of 4 is 2."""
    judgments, prompts = tables(world({"pairwise": {"x": 3.0, "y": 0.0}}))
    doubled = judgments.filter(pl.col("judge") == "pairwise").with_columns(
        pl.col("reward_a", "reward_b") * 2, spread=pl.lit(spread, dtype=pl.Float64)
    )
    consensus = build("strength", max_spread=2)
    assert decide(consensus, doubled, prompts)["flag"].to_list() == [flag]


def test_the_spread_of_all_members_is_that_within_judges_and_between_them() -> None:
    # Margins 3 and 1, the second's members 1 ± 2: variance 1 between, (0 + 4) / 2 within.
    judgments, prompts = tables(
        world({"pairwise": {"x": 3.0, "y": 0.0}, "implicit_reward": {"x": 1.0, "y": 0.0}})
    )
    said = judgments.filter(pl.col("judge") != "safe").with_columns(
        spread=pl.when(pl.col("judge") == "implicit_reward").then(2.0)
    )
    for limit, flag in ((1.74, None), (1.72, "ambiguous")):
        consensus = build("strength", max_spread=limit)
        assert decide(consensus, said, prompts)["flag"].to_list() == [flag]


def test_agreement_without_confidence_of_each_makes_no_label() -> None:
    given = world(
        {
            "pairwise": {"x": 4.0, "y": 0.0},
            "implicit_reward": {"x": 0.1, "y": 0.0},
            "safe": {"x": 4.0, "y": 0.0},
        }
    )
    assert label("scir", given) == {"xy": "x"}
    assert label("scir", given, min_each=0.6) == {"xy": "unsure_judgment"}


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        ("mixture", {"kinds": [{"name": "a", "text": "(", "judges": ["pairwise"]}]}, "not a regex"),
        ("mixture", {"kinds": [{"name": "a", "judges": ["three"]}]}, "'three'"),
        ("mixture", {"constraints": [{"judge": "safe", "min_reward": None}]}, "min_preference"),
        ("hierarchical", {"criteria": [{"judge": "tow"}]}, "'tow'"),
        ("hierarchical", {"criteria": []}, "criteria"),
        ("weighted_sum", {"weights": {"helpfulness": 0.0}}, "one weight above 0"),
        (
            "weighted_sum",
            {"weights": {"helpfulness": 1.0, "safety": -1.0}},
            "greater than or equal to 0",
        ),
        ("log_sigmoid_sum", {"rewards": ["no"]}, "'no'"),
        ("strength", {"flip_below": -0.1}, "keep_above"),
        ("agreement_ranking", {"rankers": ["pairwise"]}, "rankers"),
        ("mean", {"calibration": "nowhere.json"}, "prefdata audit"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(
    kind: str, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(kind, **{**VARIANTS.get(kind, {}), **settings})
    assert says in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize("buckets", [1, 4])
def test_the_least_confident_are_those_of_all_buckets(buckets: int) -> None:
    questions = [f"why {n}?" for n in range(20)]
    rewards = {
        (judge, question, response): (13 * place * place + 7 * n) / 100
        for n, question in enumerate(questions)
        for place, response in enumerate("wxyz")
        for judge in ("pairwise", "implicit_reward", "safe")
    }
    # Margins that differ from question to question, so that no two labels are as sure.
    rewards = {key: r * (1 + questions.index(key[1]) / 977) for key, r in rewards.items()}
    many = World({question: list("wxyz") for question in questions}, rewards)
    consensus = build("noise_aware", least_confident=0.3, drop=0.2)
    assert isinstance(consensus, SummaryConsensus)
    found = decide(consensus, *tables(many), buckets)
    # 120 comparisons, a fifth of them dropped, and a tenth more flagged.
    assert found["reason"].to_list().count("below_threshold") == 24
    assert found["flag"].to_list().count("least_confident") == 12
    whole = consensus.label(*tables(many))
    keys = ["prompt_id", "response_a", "response_b"]
    labels = found.filter(pl.col("reason").is_null()).select(whole.labels.columns)
    assert labels.sort(keys).equals(whole.labels.sort(keys))
