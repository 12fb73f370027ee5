"""CHES against the formula, its limits, and what a failed model call leads to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from filters.bucket import build, pairs, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.ches.measure import COLUMNS
from prefdata.engines.base import Engine, Requirement, Settings, results
from prefdata.engines.scripted import ScriptedConfig, ScriptedEngine, ScriptedOptions
from prefdata.errors import ConfigError
from prefdata.inference import Inference

# response: its tokens' hidden states, one row a token.
STATES = {
    "first": np.array([[1.0, 0.0], [0.5, 2.0]]),
    "second": np.array([[0.0, 1.0]]),
    "third": np.array([[1.0, 1.0], [1.0, -1.0], [0.25, 0.5]]),
}


class Hidden(Engine):
    """A model whose hidden states are STATES."""

    name = fingerprint = "policy"

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        states = [STATES[text] for text in rows["completion"]]
        yield results(
            "hidden_sums",
            rows["key"],
            hidden_sum=[s.sum(0).tolist() for s in states],
            last_hidden=[s[-1].tolist() for s in states],
            n_tokens=[len(s) for s in states],
        )


def filter_(**config: Any) -> Any:
    return build("ches", **(config or {"max_quantile": 0.5}))


RESPONSES = {name: name for name in STATES}


def test_ches_is_that_of_the_gram_matrix_of_the_answers() -> None:
    names = list(STATES)
    some = pairs(*((i, j, "p") for i in names for j in names if i != j))
    found = filter_().measure(some, texts(RESPONSES), Inference({"policy": Hidden()}, None))
    assert found.select(some.columns).equals(some)
    assert found["fault"].null_count() == found.height
    sums = np.stack([s.sum(0) for s in STATES.values()])
    means = np.stack([s.mean(0) for s in STATES.values()])
    gram, normalized = sums @ sums.T, means @ means.T
    for row in found.to_dicts():
        i, j = names.index(row["chosen_id"]), names.index(row["rejected_id"])
        last = STATES[names[i]][-1] @ STATES[names[j]][-1]
        assert row["ches"] == pytest.approx(gram[i, j] - gram[i, i])
        assert row["ches_normalized"] == pytest.approx(normalized[i, j] - normalized[i, i])
        assert row["last_hidden_inner_product"] == pytest.approx(last)


def test_ches_by_hand() -> None:
    # S_first = (1.5, 2), S_second = (0, 1): 2 - 6.25, and 2 / (2 * 1) - 6.25 / 4.
    (row,) = (
        filter_()
        .measure(
            pairs(("first", "second", "p")), texts(RESPONSES), Inference({"policy": Hidden()}, None)
        )
        .to_dicts()
    )
    assert row["ches"] == pytest.approx(-4.25)
    assert row["ches_normalized"] == pytest.approx(-0.5625)
    assert row["last_hidden_inner_product"] == pytest.approx(0.5 * 0 + 2 * 1)


states = st.lists(st.lists(st.integers(-5, 5), min_size=3, max_size=3), min_size=1, max_size=4).map(
    lambda rows: np.array(rows, float)
)


@given(states, states)
def test_the_two_orders_of_a_pair_add_up_to_minus_the_squared_distance(
    one: np.ndarray, other: np.ndarray
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STATES, "first", one)
        patch.setitem(STATES, "second", other)
        some = pairs(("first", "second", "p"), ("second", "first", "p"), ("first", "first", "p"))
        found = filter_().measure(some, texts(RESPONSES), Inference({"policy": Hidden()}, None))
    sums, means = one.sum(0) - other.sum(0), one.mean(0) - other.mean(0)
    assert found["ches"][:2].sum() == pytest.approx(-(sums @ sums))
    assert found["ches_normalized"][:2].sum() == pytest.approx(-(means @ means))
    assert found.row(2, named=True)["ches"] == found.row(2, named=True)["ches_normalized"] == 0


def decide(values: list[float | None], cuts: int = 1, **config: Any) -> list[str | None]:
    """The reasons with these scores, the pairs cut into some buckets."""
    step = filter_(**config)
    frame = pl.DataFrame({step.config.measure: values}, schema={step.config.measure: pl.Float64})
    size = -(-frame.height // cuts)
    buckets = list(frame.iter_slices(size))
    summary = step.merge([step.summarize(b) for b in reversed(buckets)])
    return [r for b in buckets for r in step.decide(b, summary)["reason"]]


@settings(max_examples=60)
@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=40, unique=True),
    st.integers(1, 100),
    st.integers(1, 4),
)
def test_a_quantile_keeps_that_share_of_the_lowest_whatever_the_buckets(
    values: list[int], percent: int, cuts: int
) -> None:
    reasons = decide([float(v) for v in values], cuts, max_quantile=percent / 100)
    kept = [v for v, reason in zip(values, reasons, strict=True) if reason is None]
    assert abs(len(kept) - percent / 100 * len(values)) < 1
    assert sorted(kept) == sorted(values)[: len(kept)]
    assert set(reasons) <= {None, "high_ches_normalized"}


@pytest.mark.parametrize(
    ("quantile", "kept"), [(0.1, 1), (0.5, 5), (0.8, 8), (0.9, 9), (0.95, 9), (1.0, 10)]
)
def test_of_ten_pairs_a_quantile_keeps(quantile: float, kept: int) -> None:
    values = [float(v) for v in range(10)]
    assert decide(values, max_quantile=quantile).count(None) == kept


def test_a_value_is_a_limit_that_may_be_reached() -> None:
    assert decide([-2.0, -1.0, -0.5, None], max_value=-1.0) == [
        None,
        None,
        "high_ches_normalized",
        None,
    ]
    assert decide([-2.0, 3.0], max_value=-1.0, measure="ches") == [None, "high_ches"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_hidden_states_that_are_no_numbers_are_a_fault(
    bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STATES, "second", np.array([[bad, 1.0]]))
    found = filter_().measure(
        pairs(("first", "third", "p"), ("first", "second", "p"), ("second", "third", "p")),
        texts(RESPONSES),
        Inference({"policy": Hidden()}, None),
    )
    assert found["fault"].is_null().to_list() == [True, False, False]
    assert "NaN" in found["fault"][1]
    for column in COLUMNS:
        assert found[column].is_null().to_list() == [False, True, True]


def test_the_limit_and_the_value_are_said() -> None:
    step = filter_(max_value=-1.0)
    frame = pl.DataFrame({"ches_normalized": [0.5]})
    summary = step.merge([step.summarize(frame)])
    detail = step.decide(frame, summary)["detail"].item()
    assert detail == "ches_normalized 0.5 above -1.0"


@pytest.mark.parametrize(
    "config", [{}, {"max_quantile": 0.8, "max_value": 1.0}, {"max_value": 1.0, "best_of_prompt": 1}]
)
def test_exactly_one_limit_has_to_be_set(config: dict[str, float]) -> None:
    with pytest.raises(
        ConfigError, match="exactly one of max_quantile, max_value and best_of_prompt"
    ):
        build("ches", **config)


def test_a_failed_model_call_becomes_a_fault_and_spares_the_other_pairs() -> None:
    config = ScriptedConfig(model="policy", options=ScriptedOptions(fail=["poison"]))
    inference = Inference({"policy": ScriptedEngine("policy", config)}, None)
    responses = {"x": "good", "y": "poison", "z": "fair"}
    some = pairs(("x", "y", "p"), ("x", "z", "p"), ("y", "z", "p"), ("z", "x", "p"))
    found = filter_().measure(some, texts(responses), inference)
    assert found["fault"].to_list() == [
        "model_error: scripted failure",
        None,
        "model_error: scripted failure",
        None,
    ]
    for column in COLUMNS:
        assert found[column].is_null().to_list() == [True, False, True, False]
    alone = filter_().measure(some[1:2], texts(responses), inference)
    assert alone.equals(found[1:2])


def test_each_response_is_asked_once_however_many_pairs_it_is_in() -> None:
    inference = Inference({"policy": Hidden()}, None)
    names = list(STATES)
    some = pairs(*((i, j, "p") for i in names for j in names if i != j))
    filter_().measure(some, texts({**RESPONSES, "unused": "never asked"}), inference)
    assert inference.usage["hidden_sums policy"].requests == len(names)
    assert filter_().requirements() == [Requirement.of("policy", "hidden_sums")]


@settings(max_examples=40)
@given(st.data(), st.integers(1, 4))
def test_the_lowest_of_each_prompt_stay_whatever_the_order(data: st.DataObject, k: int) -> None:
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    made = [(f"{n}", f"{n}x", f"prompt{p}") for p, size in enumerate(sizes) for n in range(size)]
    values = data.draw(st.lists(st.integers(-2, 2), min_size=len(made), max_size=len(made)))
    frame = pairs(*made).with_columns(ches_normalized=pl.Series(values, dtype=pl.Float64))
    step = filter_(best_of_prompt=k)
    decided = step.decide(frame, step.merge([step.summarize(frame)]))
    kept = decided.filter(pl.col("reason").is_null())
    assert set(decided["reason"]) <= {None, "not_lowest_ches_normalized"}
    for p, size in enumerate(sizes):
        of_prompt = frame.filter(prompt_id=f"prompt{p}")["ches_normalized"].sort()
        stay = kept.filter(prompt_id=f"prompt{p}")["ches_normalized"].sort()
        assert stay.to_list() == of_prompt.head(min(k, size)).to_list()
    turned = frame.reverse()
    again = step.decide(turned, step.merge([step.summarize(turned)]))
    assert again.reverse().equals(decided)
