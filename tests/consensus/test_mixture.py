"""Judges by kind of prompt, and constraints that no preferred response breaks."""

from __future__ import annotations

from typing import Any

import pytest
from consensus.cases import label, rows, world


def test_a_mixture_counts_the_judges_of_the_kind_of_prompt() -> None:
    rewards = {"pairwise": {"x": 2.0, "y": 0.0}, "implicit_reward": {"x": 0.0, "y": 3.0}}
    assert label("mixture", world(rewards)) == {"xy": "y"}
    assert label("mixture", world(rewards, "2 + 2?")) == {"xy": "x"}


@pytest.mark.parametrize(
    ("safe", "wanted", "flag"),
    [
        ({"x": 1.0, "y": 1.0}, "x", None),
        ({"x": 1.0, "y": 0.0}, "x", None),
        # The response that keeps the rule wins, although it is rewarded less.
        ({"x": 0.0, "y": 1.0}, "y", "overruled"),
        ({"x": 0.0, "y": 0.0}, "vetoed", None),
        # What was not checked is neither broken nor kept.
        ({"x": None, "y": 1.0}, "vetoed", None),
        ({"x": 1.0, "y": None}, "vetoed", None),
    ],
)
@pytest.mark.parametrize("rewards", [(2.0, 0.0), (0.0, 2.0)])
def test_a_response_that_breaks_a_constraint_is_never_preferred(
    safe: dict[str, float | None], wanted: str, flag: str | None, rewards: tuple[float, float]
) -> None:
    given = dict(zip("xy", rewards, strict=True))
    if rewards[0] < rewards[1]:
        # The same with x and y in each other's place.
        safe = {"x": safe["y"], "y": safe["x"]}
        wanted = {"x": "y", "y": "x"}.get(wanted, wanted)
    world_ = world({"pairwise": given, "implicit_reward": given, "safe": safe})
    constraints = [{"judge": "safe"}]
    assert label("mixture", world_, constraints=constraints) == {"xy": wanted}
    assert rows("mixture", world_, constraints=constraints)["xy"]["flag"] == flag


def test_a_tie_goes_to_the_response_that_keeps_the_rules() -> None:
    even = {"x": 1.0, "y": 1.0}
    given = world({"pairwise": even, "implicit_reward": even, "safe": {"x": 0.0, "y": 1.0}})
    assert label("mixture", given, constraints=[{"judge": "safe"}]) == {"xy": "y"}
    assert label("mixture", given, constraints=[{"judge": "safe", "min_reward": 0}]) == {
        "xy": "tie"
    }


def test_a_comparing_constraint_vetoes_the_preferred_response_and_prefers_none() -> None:
    rewards: dict[str, Any] = {
        "pairwise": {"x": 2.0, "y": 0.0},
        "implicit_reward": {"x": 2.0, "y": 0.0},
    }
    veto = {"constraints": [{"judge": "safe", "min_reward": None, "min_preference": 0.3}]}
    for safe, wanted in (((-3.0, 3.0), "vetoed"), ((3.0, -3.0), "x"), ((None, 1.0), "vetoed")):
        given = world({**rewards, "safe": dict(zip("xy", safe, strict=True))})
        assert label("mixture", given, **veto) == {"xy": wanted}


def test_every_constraint_has_to_be_kept() -> None:
    given = world(
        {
            "pairwise": {"x": 2.0, "y": 0.0},
            "implicit_reward": {"x": 1.0, "y": 0.0},
            "safe": {"x": 0.0, "y": 1.0},
        }
    )
    both = {"constraints": [{"judge": "safe"}, {"judge": "implicit_reward"}]}
    assert label("mixture", given, otherwise=["pairwise"], **both) == {"xy": "vetoed"}


def test_a_mixture_may_ask_for_agreement() -> None:
    given = world({"pairwise": {"x": 2.0, "y": 0.0}, "implicit_reward": {"x": 0.0, "y": 3.0}})
    assert label("mixture", given, unanimous=True) == {"xy": "disagreement"}
