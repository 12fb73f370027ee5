"""The implicit reward against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from judges.panels import Table, asking, build, candidates

from prefdata.inference import Inference

# response: log p and tokens under the policy, log p and tokens under the reference.
VALUES: dict[str, tuple[float | None, int, float | None, int]] = {
    "good": (-10.0, 4, -12.0, 5),
    "bad": (-30.0, 10, -29.0, 3),
    "lost": (None, 9, -1.0, 1),
    "broken": (-1.0, 1, math.nan, 1),
}


def models() -> Inference:
    return asking(
        policy=Table("policy", {k: (v[0], v[1]) for k, v in VALUES.items()}),
        reference=Table("reference", {k: (v[2], v[3]) for k, v in VALUES.items()}),
    )


@pytest.mark.parametrize(
    ("beta", "per_token", "good", "bad"),
    [
        (0.1, False, 0.2, -0.1),  # 0.1 * (-10 + 12) and 0.1 * (-30 + 29)
        (1.0, False, 2.0, -1.0),
        (0.1, True, 0.05, -0.01),  # the same over the policy's 4 and 10 tokens
    ],
)
def test_the_reward_is_beta_times_the_log_ratio(
    beta: float, per_token: bool, good: float, bad: float
) -> None:
    given_ = candidates({"Why?": ["good", "bad"]})
    judge = build("implicit_reward", beta=beta, per_token=per_token)
    (row,) = judge.judge(given_, models()).to_dicts()
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    rewards = {text[row["response_a"]]: row["reward_a"], text[row["response_b"]]: row["reward_b"]}
    assert rewards == pytest.approx({"good": good, "bad": bad})
    wanted = 1 / (1 + math.exp(bad - good))
    a_is_good = text[row["response_a"]] == "good"
    assert row["preference"] == pytest.approx(wanted if a_is_good else 1 - wanted)


@pytest.mark.parametrize(("response", "reason"), [("lost", "too_long"), ("broken", "NaN")])
def test_a_response_without_a_reward_is_unscored(response: str, reason: str) -> None:
    given_ = candidates({"Why?": ["good", response]})
    (row,) = build("implicit_reward").judge(given_, models()).to_dicts()
    assert row["preference"] is None
    assert reason in row["unscored"]
    assert sorted([row["reward_a"], row["reward_b"]], key=str) == [pytest.approx(0.2), None]


def test_a_policy_that_is_its_own_reference_prefers_nothing() -> None:
    policy = models().engines["policy"]
    given_ = candidates({"Why?": ["good", "bad"]})
    judge = build("implicit_reward", reference="policy")
    assert judge.judge(given_, asking(policy=policy))["preference"].to_list() == [0.5]
