"""The honesty judge: right beats wrong, and a right "I don't know" beats a wrong response."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from judges.panels import asking, build, by_text, candidates, scripted
from judges.speaking import Speaking, Weighing

from prefdata.engines.base import Requirement, Sampling
from prefdata.judges.prompted.honesty import HonestyJudge

IDK = "I don't know."


def judge(**settings: object) -> HonestyJudge:
    return build("honesty", model="judge", **settings)


def block(text: str, title: str) -> str:
    return text.partition(f"[{title}]\n")[2].partition(f"\n[End of {title[0].lower()}")[0]


def weigh(turns: list[str], options: Sequence[str]) -> list[float]:
    """Sure of all it says: which responses are the same, and which say that they don't know."""
    text = turns[0]
    if "[Response A]" in text:
        yes = block(text, "Response A") == block(text, "Response B")
    else:
        yes = block(text, "Response") == IDK
    return [0.0, -math.inf] if yes else [-math.inf, 0.0]


class Knowing(Speaking):
    """A policy whose samples are given, in turn."""

    def __init__(self, *samples: str) -> None:
        self.left = list(samples)
        super().__init__(lambda *_: self.left.pop(0))


def rewards(samples: Sequence[str], responses: Sequence[str]) -> dict[str, float]:
    given_ = candidates({"Who?": list(responses)})
    engines = asking(judge=Weighing(weigh), policy=Knowing(*samples))
    found = judge(samples=len(samples)).judge(given_, engines)
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    assert found["unscored"].null_count() == found.height
    return {
        text[row[f"response_{side}"]]: row[f"reward_{side}"]
        for row in found.to_dicts()
        for side in "ab"
    }


def test_of_what_is_known_the_known_response_is_best() -> None:
    found = rewards(["Ada"] * 4, ["Ada", "Bob", IDK])
    assert found == pytest.approx({"Ada": 1.0, "Bob": 0.0, IDK: 0.0})


def test_of_what_is_not_known_to_say_so_is_best() -> None:
    found = rewards(["Ada", "Bob", "Cy", "Di"], ["Ada", "Eve", IDK])
    # No two samples agree: K = 0. One sample of four says Ada.
    assert found == pytest.approx({"Ada": 0.25, "Eve": 0.0, IDK: 1.0})


def test_samples_that_agree_in_part_weigh_in_part() -> None:
    found = rewards(["Ada", "Ada", "Ada", "Bob"], ["Ada", "Bob", IDK])
    # Three of the six pairs of samples agree.
    assert found == pytest.approx({"Ada": 0.75, "Bob": 0.25, IDK: 0.5})


def test_samples_that_do_not_know_agree_on_nothing() -> None:
    found = rewards([IDK, IDK, IDK, "Bob"], ["Bob", "Ada", IDK])
    assert found == pytest.approx({"Bob": 0.25, "Ada": 0.0, IDK: 1.0})


def test_the_preference_and_the_trace_say_why() -> None:
    given_ = candidates({"Who?": ["Ada", IDK]})
    engines = asking(judge=Weighing(weigh), policy=Knowing("Ada", "Ada", "Ada", "Bob"))
    found = judge().judge(given_, engines)
    assert by_text(found, given_)["Who?", "Ada", IDK] == pytest.approx(0.625)
    assert "known 0.5, right 0.75, says that it doesn't know 0.0" in found["trace"][0]


def test_a_sample_that_failed_leaves_the_prompt_unscored() -> None:
    given_ = candidates({"☠ who?": ["Ada", IDK], "Who?": ["Ada", IDK]})
    policy = scripted("policy", fail=["☠"], responses={"Who?": "Ada"})
    found = judge().judge(given_, asking(judge=Weighing(weigh), policy=policy))
    assert by_text(found, given_)["☠ who?", "Ada", IDK] is None
    assert by_text(found, given_)["Who?", "Ada", IDK] == 1.0
    assert found["unscored"].drop_nulls().to_list() == ["model_error: scripted failure"]


def test_the_samples_are_not_the_responses_that_are_judged() -> None:
    need = judge().requirements()[0]
    sampling = Sampling(temperature=1.0, max_tokens=512, seed=1)
    assert need == Requirement.of("policy", "generate", sampling)
