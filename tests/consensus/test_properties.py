"""What must hold for every consensus there is, whatever the judges say."""

from __future__ import annotations

import itertools
from typing import Any

import polars as pl
import pytest
from consensus.table import DIMENSIONS, VARIANTS, World, build, choose, decide, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.consensus.base import FAULTS
from prefdata.consensus.registry import CONSENSUSES
from prefdata.records import Label
from prefdata.records.base import polars_schema

COLUMNS = [
    "prompt_id", "response_a", "response_b", "preference", "agreement", "flag", "reason", "detail",
]  # fmt: skip
rewards = st.one_of(st.none(), st.sampled_from([-4.0, -1.0, 0.0, 0.4, 1.0, 1.5, 3.0]))
CASES = [*((kind, {}) for kind in CONSENSUSES.parts), *VARIANTS.items()]
kinds = pytest.mark.parametrize(("kind", "options"), CASES, ids=str)


@st.composite
def worlds(draw: st.DrawFn, reward: st.SearchStrategy[float | None] = rewards) -> World:
    """One to eight questions of two to four responses, judged by three judges; on some
    comparisons some of them prefer what no reward could say, in circles too.

    Deciding costs nearly the same for any number of questions: many of them, and few examples."""
    count = draw(st.integers(1, 8))
    questions = [f"{'2 + ' if n % 2 else 'why '}{'abcdefgh'[n]}?" for n in range(count)]
    responses = {q: list("uvwx"[: draw(st.integers(2, 4))]) for q in questions}
    keys = [(j, q, a) for j in DIMENSIONS for q, some in responses.items() for a in some]
    world = World(responses, {key: draw(reward) for key in keys})
    for judge, question in itertools.product(DIMENSIONS, questions):
        if draw(st.booleans()):
            for a, b in itertools.combinations(responses[question], 2):
                p = draw(st.sampled_from([0.1, 0.3, 0.5, 0.55, 0.8, 0.97]))
                missing = draw(st.integers(0, 5)) == 0
                world.against[judge, question, a, b] = None if missing else p
    return world


@kinds
@settings(max_examples=12)
@given(world=worlds(), salt=st.integers(1, 1000), buckets=st.integers(1, 3))
def test_names_order_and_buckets_change_no_choice(
    kind: str, options: dict[str, Any], world: World, salt: int, buckets: int
) -> None:
    found = choose(world, decide(build(kind, **options), *tables(world)), 0)
    other = choose(world, decide(build(kind, **options), *tables(world, salt), buckets), salt)
    assert found == other


@kinds
@settings(max_examples=12)
@given(world=worlds())
def test_every_comparison_has_a_label_or_a_reason(
    kind: str, options: dict[str, Any], world: World
) -> None:
    judgments, prompts = tables(world)
    found = decide(build(kind, **options, min_confidence=0.55), judgments, prompts)
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
@settings(max_examples=7)
@given(world=worlds(st.just(1.0)))
def test_a_tie_makes_no_label(kind: str, options: dict[str, Any], world: World) -> None:
    world.against.clear()
    found = decide(build(kind, **options), *tables(world))
    assert found["reason"].null_count() == 0
    assert not set(found["reason"]) & {"disagreement"}


@kinds
@settings(max_examples=7)
@given(world=worlds(), failed=st.lists(st.sampled_from("uvwx"), min_size=1, max_size=2))
def test_a_response_that_nobody_could_score_has_no_label(
    kind: str, options: dict[str, Any], world: World, failed: list[str]
) -> None:
    world.against.clear()
    for key in world.rewards:
        if key[2] in failed:
            world.rewards[key] = None
    found = choose(world, decide(build(kind, **options), *tables(world)), 0)
    for (_, both), (better, reason, _) in found.items():
        if both & set(failed):
            assert better is None
            assert reason


@kinds
def test_no_judgments_make_no_labels(kind: str, options: dict[str, Any]) -> None:
    judgments, prompts = tables(World({}, {}))
    found = decide(build(kind, **options), judgments, prompts)
    assert found.columns == COLUMNS
    assert found.height == 0


@kinds
def test_judges_that_all_agree_strongly_make_the_label(kind: str, options: dict[str, Any]) -> None:
    world = World(
        {"why?": ["good", "bad"]},
        {(j, "why?", a): s for j in DIMENSIONS for a, s in (("good", 4.0), ("bad", -4.0))},
    )
    found = choose(world, decide(build(kind, **options), *tables(world)), 0)
    assert found == {("why?", frozenset(("good", "bad"))): ("good", None, None)}


@kinds
@settings(max_examples=7)
@given(world=worlds())
def test_temperatures_are_applied_before_anything_is_combined(
    kind: str, options: dict[str, Any], world: World
) -> None:
    judgments, prompts = tables(world)
    cold = build(kind, **options)
    cold._temperatures = dict.fromkeys(DIMENSIONS, 1.0)
    one, other = (
        decide(build(kind, **options), judgments, prompts),
        decide(cold, judgments, prompts),
    )
    keys = COLUMNS[:3]
    joined = one.join(other, on=keys, how="full", suffix="_other")
    same = pl.col("reason").eq_missing(pl.col("reason_other"))
    assert joined.filter(~same).height == 0


@kinds
@settings(max_examples=7)
@given(world=worlds())
def test_the_entry_gives_labels_and_what_got_none(
    kind: str, options: dict[str, Any], world: World
) -> None:
    judgments, prompts = tables(world)
    consensus = build(kind, **options)
    decided = decide(consensus, judgments, prompts)
    labels, undecided = consensus.label(judgments, prompts)
    assert labels.schema == polars_schema(Label)
    without = decided.filter(pl.col("reason").is_not_null())
    assert labels.equals(decided.filter(pl.col("reason").is_null()).select(labels.columns))
    assert undecided.drop("fault").equals(without.select(undecided.drop("fault").columns))
    assert undecided["fault"].to_list() == [reason in FAULTS for reason in without["reason"]]
