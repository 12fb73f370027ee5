"""Neighbours in a ranking, and labels that go against it."""

from __future__ import annotations

import pytest
from compared import TWO_PROMPTS, Preferences, chosen, comparisons, select

CYCLE: Preferences = {
    ("p", "a", "b"): 0.9,
    ("p", "b", "c"): 0.9,
    ("p", "c", "a"): 0.6,
    ("p", "a", "d"): 0.9,
}


@pytest.mark.parametrize(
    ("distance", "pairs"), [(1, {("good", "fair"), ("fair", "poor")}), (2, {("good", "poor")})]
)
def test_neighbours_become_pairs_up_to_the_distance(
    distance: int, pairs: set[tuple[str, str]]
) -> None:
    found = chosen(select("adjacent_ranks", comparisons(TWO_PROMPTS), max_distance=distance))
    of_p = {(one, other) for prompt, one, other in found if prompt == "p"}
    assert of_p >= pairs
    assert (("good", "poor") in of_p) == (distance == 2)
    assert ("q", "yes", "no") in found


def test_a_label_against_the_ranking_becomes_no_pair() -> None:
    # Standings: a (0.9 + 0.4 + 0.9) / 3, b 0.5, c 0.35, d 0.1: c's win over a goes against them.
    found = select("adjacent_ranks", comparisons(CYCLE), max_distance=3)
    reasons = {(a, b): reason for a, b, reason in found["chosen", "rejected", "reason"].rows()}
    assert reasons == {
        ("a", "b"): None, ("b", "c"): None, ("a", "d"): None, ("c", "a"): "against_ranking",
    }  # fmt: skip


def test_equal_standings_share_a_rank() -> None:
    apart: Preferences = {("p", "a", "b"): 0.8, ("p", "c", "d"): 0.8}
    assert chosen(select("adjacent_ranks", comparisons(apart))) == {
        ("p", "a", "b"), ("p", "c", "d"),
    }  # fmt: skip
