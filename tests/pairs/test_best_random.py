"""The best response against one that is drawn."""

from __future__ import annotations

from collections import Counter

from compared import TWO_PROMPTS, chosen, comparisons, select


def test_the_rejected_response_is_drawn_from_those_the_best_one_beats() -> None:
    drawn = Counter()
    for seed in range(200):
        found = select("best_random", comparisons(TWO_PROMPTS, salt=seed), seed=seed)
        drawn.update(chosen(found))
    assert drawn.keys() == {("p", "good", "fair"), ("p", "good", "poor"), ("q", "yes", "no")}
    assert drawn["q", "yes", "no"] == 200
    # A fair coin over 200 draws lies within 60 and 140 but for one time in ten million.
    assert 60 < drawn["p", "good", "fair"] < 140


def test_what_is_left_out_says_why() -> None:
    found = select("best_random", comparisons(TWO_PROMPTS))
    reasons = dict(found.select("reason", "detail").drop_nulls().rows())
    assert reasons.keys() == {"not_of_best", "not_drawn"}
    assert reasons["not_drawn"] == "standing of the chosen response 0.8, seed 0"
