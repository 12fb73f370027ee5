"""The length-normalised likelihood against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from judges.panels import Table, asking, build, by_text, candidates

VALUES: dict[str, tuple[float | None, int]] = {
    "short": (-6.0, 2),  # -3 nats a token
    "long": (-20.0, 10),  # -2 nats a token, and the less likely text as a whole
    "lost": (None, 9),
    "empty": (0.0, 0),
}


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_the_likelier_response_by_token_is_preferred(temperature: float) -> None:
    given_ = candidates({"Why?": ["short", "long"]})
    judge = build("mean_logprob", temperature=temperature)
    found = judge.judge(given_, asking(policy=Table("policy", VALUES)))
    assert sorted(found.select("reward_a", "reward_b").row(0)) == [-3.0, -2.0]
    wanted = 1 / (1 + math.exp(-1 / temperature))
    assert by_text(found, given_)["Why?", "long", "short"] == pytest.approx(wanted)


@pytest.mark.parametrize(("response", "reason"), [("lost", "too_long"), ("empty", "not_a_reward")])
def test_a_response_without_a_likelihood_is_unscored(response: str, reason: str) -> None:
    given_ = candidates({"Why?": ["short", response]})
    policy = Table("policy", VALUES)
    (row,) = build("mean_logprob").judge(given_, asking(policy=policy)).to_dicts()
    assert row["preference"] is None
    assert row["unscored"].startswith(reason)
