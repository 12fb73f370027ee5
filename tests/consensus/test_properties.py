"""What must hold for every consensus there is, whatever the judges say."""

from __future__ import annotations

import itertools

import polars as pl
import pytest
from consensus.table import DIMENSIONS, SETTINGS, World, build, chosen, decided, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.consensus import registry as lookup

COLUMNS = [
    "prompt_id", "response_a", "response_b", "preference", "agreement", "flag", "reason", "detail",
]  # fmt: skip
scores = st.one_of(st.none(), st.sampled_from([-4.0, -1.0, 0.0, 0.4, 1.0, 1.5, 3.0]))
kinds = pytest.mark.parametrize("kind", lookup.CONSENSUSES)


@st.composite
def worlds(draw: st.DrawFn, score: st.SearchStrategy[float | None] = scores) -> World:
    """One to four questions of two to four responses, scored by three judges; some judges say of
    some comparisons what no score could say, in circles too."""
    count = draw(st.integers(1, 4))
    questions = [f"{'2 + ' if n % 2 else 'why '}{'abcd'[n]}?" for n in range(count)]
    responses = {q: list("uvwx"[: draw(st.integers(2, 4))]) for q in questions}
    keys = [(j, q, a) for j in DIMENSIONS for q, some in responses.items() for a in some]
    world = World(responses, {key: draw(score) for key in keys})
    for judge, question in itertools.product(DIMENSIONS, questions):
        if draw(st.booleans()):
            for a, b in itertools.combinations(responses[question], 2):
                p = draw(st.sampled_from([0.1, 0.3, 0.5, 0.55, 0.8, 0.97]))
                missing = draw(st.integers(0, 5)) == 0
                world.against[judge, question, a, b] = None if missing else p
    return world


def test_every_kind_is_tried_here() -> None:
    assert set(SETTINGS) == set(lookup.CONSENSUSES)


@kinds
@settings(max_examples=40)
@given(world=worlds(), salt=st.integers(1, 1000), buckets=st.integers(1, 5))
def test_names_order_and_buckets_change_no_choice(
    kind: str, world: World, salt: int, buckets: int
) -> None:
    found = chosen(world, decided(build(kind), *tables(world)), 0)
    other = chosen(world, decided(build(kind), *tables(world, salt), buckets), salt)
    assert found == other


@kinds
@settings(max_examples=40)
@given(world=worlds())
def test_every_comparison_is_answered_once_with_a_label_or_a_reason(
    kind: str, world: World
) -> None:
    judgments, prompts = tables(world)
    found = decided(build(kind, min_confidence=0.55), judgments, prompts)
    keys = COLUMNS[:3]
    assert found.columns == COLUMNS
    assert found.select(keys).sort(keys).equals(judgments.select(keys).unique().sort(keys))
    for row in found.to_dicts():
        if row["reason"] is None:
            assert 0 <= row["preference"] <= 1
            assert abs(row["preference"] - 0.5) > 1e-9
            assert 0 <= row["agreement"] <= 1
            # Smoothing makes a label less sure on purpose.
            if row["flag"] not in ("least_confident", "ambiguous"):
                assert max(row["preference"], 1 - row["preference"]) >= 0.55 - 1e-8
        else:
            assert row["flag"] is None
            assert row["detail"]


@kinds
@settings(max_examples=20)
@given(world=worlds(st.just(1.0)))
def test_a_tie_makes_no_pair(kind: str, world: World) -> None:
    world.against.clear()
    found = decided(build(kind), *tables(world))
    assert found["reason"].null_count() == 0
    assert not set(found["reason"]) & {"disagreement"}


@kinds
@settings(max_examples=20)
@given(world=worlds(), failed=st.lists(st.sampled_from("uvwx"), min_size=1, max_size=2))
def test_an_answer_that_nobody_could_score_is_in_no_pair(
    kind: str, world: World, failed: list[str]
) -> None:
    world.against.clear()
    for key in world.scores:
        if key[2] in failed:
            world.scores[key] = None
    found = chosen(world, decided(build(kind), *tables(world)), 0)
    for (_, both), (better, reason, _) in found.items():
        if both & set(failed):
            assert better is None
            assert reason


@kinds
def test_no_judgments_make_no_labels(kind: str) -> None:
    judgments, prompts = tables(World({}, {}))
    found = decided(build(kind), judgments, prompts)
    assert found.columns == COLUMNS
    assert found.height == 0


@kinds
def test_judges_that_all_agree_strongly_make_the_label(kind: str) -> None:
    world = World(
        {"why?": ["good", "bad"]},
        {(j, "why?", a): s for j in DIMENSIONS for a, s in (("good", 4.0), ("bad", -4.0))},
    )
    found = chosen(world, decided(build(kind), *tables(world)), 0)
    assert found == {("why?", frozenset(("good", "bad"))): ("good", None, None)}


@kinds
@settings(max_examples=20)
@given(world=worlds())
def test_temperatures_are_applied_before_anything_is_combined(kind: str, world: World) -> None:
    judgments, prompts = tables(world)
    cold = build(kind)
    cold._temperatures = dict.fromkeys(DIMENSIONS, 1.0)
    one, other = decided(build(kind), judgments, prompts), decided(cold, judgments, prompts)
    keys = COLUMNS[:3]
    joined = one.join(other, on=keys, how="full", suffix="_other")
    same = pl.col("reason").eq_missing(pl.col("reason_other"))
    assert joined.filter(~same).height == 0
