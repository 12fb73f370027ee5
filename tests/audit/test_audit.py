"""The audit's figures against plain computations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.audit import biases
from prefdata.audit.agreement import compute_kappa, compute_tau, measure_agreement
from prefdata.audit.comparisons import join_differences, measure_responses
from prefdata.comparisons.keys import COMPARISON
from prefdata.records import Judgment
from prefdata.records.base import fill_columns
from prefdata.text.features import NAMES, text_features

verdicts = st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1])), min_size=1)


def plain_kappa(pairs: list[tuple[int, int]]) -> float | None:
    both = [*pairs, *((-x, -y) for x, y in pairs)]
    n = len(both)
    observed = sum(x == y for x, y in both) / n
    chance = sum(
        sum(x == v for x, _ in both) / n * (sum(y == v for _, y in both) / n) for v in (-1, 0, 1)
    )
    return None if chance >= 1 else (observed - chance) / (1 - chance)


@settings(max_examples=100)
@given(verdicts)
def test_kappa_is_that_of_a_plain_count(pairs: list[tuple[int, int]]) -> None:
    one, other = (pl.Series(c, dtype=pl.Int64) for c in zip(*pairs, strict=True))
    expected = plain_kappa(pairs)
    found = compute_kappa(one, other)
    assert (found is None) == (expected is None)
    assert found is None or found == pytest.approx(expected, abs=1e-12)


def test_kappa_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra [embeddings] is missing")
    rng = np.random.default_rng(1)
    one, other = rng.integers(-1, 2, (2, 200))
    found = compute_kappa(pl.Series(one), pl.Series(other))
    both = np.concatenate([one, -one]), np.concatenate([other, -other])
    assert found == pytest.approx(metrics.cohen_kappa_score(*both))


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_tau_is_that_of_a_plain_count(prompts: list[list[tuple[int, int]]]) -> None:
    rows, taus = [], []
    for number, scores in enumerate(prompts):
        concordant = discordant = first = second = 0
        for i in range(len(scores)):
            for j in range(i + 1, len(scores)):
                x = (scores[i][0] > scores[j][0]) - (scores[i][0] < scores[j][0])
                y = (scores[i][1] > scores[j][1]) - (scores[i][1] < scores[j][1])
                rows.append({"prompt_id": str(number), "one": x, "other": y})
                concordant += x * y > 0
                discordant += x * y < 0
                first += x != 0
                second += y != 0
        if first and second:
            taus.append((concordant - discordant) / math.sqrt(first * second))
    found = compute_tau(pl.DataFrame(rows))
    assert (found is None) == (not taus)
    assert found is None or found == pytest.approx(sum(taus) / len(taus), abs=1e-12)


def rows(*given_: dict[str, Any]) -> pl.DataFrame:
    """Judgments of one judge on responses a and b of prompts p0, p1 …, with their differences."""
    frames, responses = [], []
    for number, judgment in enumerate(given_):
        a, b = f"{number:04}a", f"{number:04}b"
        text = {"preference": None, "unscored": None, **judgment}
        frames.append({"prompt_id": f"p{number:04}", "response_a": a, "response_b": b, **text})
        for side, name in (("a", a), ("b", b)):
            responses.append(
                {
                    "response_id": name,
                    "text": judgment.get(f"text_{side}", "word " * 5),
                    "model": judgment.get(f"model_{side}", "m"),
                    "policy": judgment.get(f"policy_{side}", "p"),
                }
            )
    table = pl.DataFrame(
        [{k: v for k, v in f.items() if k[:5] not in ("text_", "model", "polic")} for f in frames],
        schema_overrides={"preference": pl.Float64, "unscored": pl.String},
    )
    judgments = fill_columns(table.with_columns(judge=pl.lit("j")), Judgment)
    return join_differences(judgments, measure_responses(pl.DataFrame(responses)))


def test_unscored_judgments_are_counted_by_the_code_of_their_reason() -> None:
    found = biases.count_unscored(
        rows(
            {"preference": 0.7},
            {"preference": 0.5},
            {"unscored": "too_long: 9 tokens"},
            {"unscored": "too_long: 8 tokens"},
        )
    )
    assert found == {"comparisons": 4, "unscored": 0.5, "reasons": {"too_long": 2}, "ties": 0.5}


def test_a_judge_that_likes_the_first_place_is_found_out() -> None:
    found = biases.measure_position(
        rows(
            {"preference": 0.5, "forward": 0.9, "reverse": 0.1},
            {"preference": 0.5, "forward": 0.8, "reverse": 0.3},
            {"preference": 0.8, "forward": 0.9, "reverse": 0.7},
            {"preference": 0.8, "forward": 0.5, "reverse": 0.9},
            {"preference": 0.8},
        )
    )
    # Shown first: a, a, a, - in the one order; b, b, a, a in the other.
    assert found == {"asked_both_ways": 4, "flips": 0.5, "prefers_first": (3.5 + 2) / 8}


def test_an_ensemble_whose_members_lie_apart_is_found_out() -> None:
    found = biases.measure_ensemble(
        rows(
            {"preference": 0.7, "reward_a": 2.0, "reward_b": 1.0, "spread": 0.5},
            {"preference": 0.3, "reward_a": 1.0, "reward_b": 2.0, "spread": 3.5},
            {"preference": 0.7, "reward_a": 2.0, "reward_b": 1.0},
        )
    )
    assert found == {"comparisons": 2, "mean_spread": 2.0, "spread_above_margin": 0.5}
    none = biases.measure_ensemble(rows({"preference": 0.7}))
    assert none == {"comparisons": 0, "mean_spread": None, "spread_above_margin": None}


def test_length_bias_of_all_and_of_about_equally_long_responses() -> None:
    long, short, similar = "w" * 200, "w" * 50, "w" * 210
    found = biases.measure_length(
        rows(
            {"preference": 0.9, "text_a": long, "text_b": short},
            {"preference": 0.2, "text_a": short, "text_b": long},
            {"preference": 0.2, "text_a": similar, "text_b": long},
            {"preference": 0.5, "text_a": similar, "text_b": long},
            {"preference": 0.9, "text_a": long, "text_b": long},
        )
    )
    assert found["prefers_longer"] == round(2 / 3, 6)
    assert found["prefers_longer_matched"] == 0
    assert found["matched_comparisons"] == 1


def test_length_control_takes_away_what_length_explains() -> None:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(300):
        words = rng.integers(20, 400, 2)
        # m answers at greater length; the judge looks at the length alone.
        words[0] *= 2
        p = 1 / (1 + math.exp(-2 * math.log(words[0] / words[1])))
        texts = {"text_a": "w" * int(words[0]), "text_b": "w" * int(words[1])}
        made.append({"preference": p, "model_a": "m", "model_b": "n", **texts})
    (found,) = biases.compare_models(rows(*made))
    assert (found["model"], found["against"], found["comparisons"]) == ("m", "n", 300)
    assert found["win_rate"] > 0.6
    assert found["length_controlled"] == pytest.approx(0.5, abs=0.02)


def test_self_preference_stands_beside_what_the_others_prefer() -> None:
    made = [
        {"preference": 0.9, "model_a": "me", "model_b": "n"},
        {"preference": 0.3, "model_a": "n", "model_b": "me"},
        {"preference": 0.1, "model_a": "me", "model_b": "me"},
    ]
    other = [{**one, "preference": 0.5} for one in made]
    found = biases.measure_self_preference(rows(*made), rows(*other), ["me"])
    assert found == {"comparisons": 2, "prefers_own": 0.8, "others_prefer_it": 0.5}
    none = biases.measure_self_preference(rows(*made), rows(*other), [])
    assert none["prefers_own"] is None


def test_the_regression_finds_what_drives_a_judge() -> None:
    rng = np.random.default_rng(3)
    made = []
    for _ in range(400):
        lists = rng.integers(0, 4, 2)
        odds = 2 * (math.log1p(lists[0]) - math.log1p(lists[1]))
        p = float(rng.random() < 1 / (1 + math.exp(-odds)))
        texts = {
            f"text_{side}": "x" * int(rng.integers(50, 300))
            + "?" * int(rng.integers(0, 3))
            + "\n- item" * int(n)
            for side, n in zip("ab", lists, strict=True)
        }
        made.append({"preference": p, **texts})
    found = biases.find_drivers(rows(*made))
    assert found[0]["feature"] == "lists"
    assert found[0]["low"] > 0
    covers = [f["low"] <= 0 <= f["high"] for f in found if f["feature"] in ("questions", "length")]
    assert covers == [True, True]


def test_features_are_counts_of_what_stands_in_the_text() -> None:
    text = "# Title\n\nI'm sorry, **you** may:\n- one?\n2. two!\n`code` 3.5"
    (row,) = pl.DataFrame({"t": [text]}).select(text_features(pl.col("t"))).to_dicts()
    assert tuple(row) == NAMES
    counts = {k: round(math.expm1(v)) for k, v in row.items() if k != "ends_whole"}
    assert counts == {
        "length": len(text), "lists": 2, "headings": 1, "bold": 1, "code": 1, "paragraphs": 1,
        "questions": 1, "exclamations": 1, "numbers": 2, "quotes": 0, "hedging": 1, "refusal": 1,
        "first_person": 1, "address": 1,
    }  # fmt: skip
    assert row["ends_whole"] == 0


def test_nothing_judged_gives_nulls() -> None:
    none = rows({"preference": 0.5}).clear()
    assert biases.count_unscored(none)["unscored"] is None
    assert biases.measure_length(none)["prefers_longer"] is None
    assert biases.find_drivers(none) == []
    assert biases.compare_models(none) == []
    assert measure_agreement(none.select(*COMPARISON, "verdict"), none)["kappa"] is None
