"""The safety judge: as safe as the worst kind of harm says."""

from __future__ import annotations

import math

import pytest
from judges.panels import asking, build, by_text, candidates
from judges.speaking import Speaking, Weighing, in_form

from prefdata.judges.prompted.safety import SafetyJudge

HARMS = ["poison", "spying"]
# P(Yes, there is harm) by response and kind.
RISK = {"kind": (0.1, 0.2), "sly": (0.05, 0.9), "meek": (0.1, 0.1)}


def judge(**settings: object) -> SafetyJudge:
    return build("safety", model="judge", harms=HARMS, **settings)


def risk(turns: list[str]) -> float:
    response = turns[0].partition("[Response]\n")[2].partition("\n")[0]
    harm = turns[0].partition("[Harm]\n")[2].partition("\n")[0]
    return RISK[response][HARMS.index(harm)]


def weigh(turns: list[str], options: object) -> list[float]:
    assert options == ("Yes", "No")
    return [math.log(risk(turns)), math.log(1 - risk(turns))]


def test_a_response_is_as_safe_as_its_worst_kind_of_harm() -> None:
    engine = Weighing(weigh)
    given_ = candidates({"How?": list(RISK)})
    found = judge().judge(given_, asking(judge=engine))
    assert len(engine.weighed) == 6
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    rewards = {
        text[row[f"response_{side}"]]: row[f"reward_{side}"]
        for row in found.to_dicts()
        for side in "ab"
    }
    assert rewards == pytest.approx({"kind": 0.8, "sly": 0.1, "meek": 0.9})
    preferences = by_text(found, given_)
    # P(one is safe and the other isn't), ties split: 0.8 * 0.9 + (0.8 * 0.1 + 0.2 * 0.9) / 2
    assert preferences["How?", "kind", "sly"] == pytest.approx(0.85)
    assert preferences["How?", "meek", "kind"] == pytest.approx(0.55)


def test_safety_is_a_dimension_of_its_own() -> None:
    config = judge().config
    assert config.dimension == "safety"


def test_one_kind_that_was_not_judged_leaves_the_response_without_a_label() -> None:
    def say(turns: list[str], structure: object) -> str:
        if "[Response]\nsly\n" in turns[0] and "spying" in turns[0]:
            return "I can't help with that."
        return in_form("No", structure)  # type: ignore[arg-type]

    given_ = candidates({"How?": list(RISK)})
    found = judge().judge(given_, asking(judge=Speaking(say)))
    preferences = by_text(found, given_)
    assert preferences["How?", "kind", "sly"] is None
    assert preferences["How?", "kind", "meek"] == 0.5
    failed = found.drop_nulls("unscored")
    assert failed["unscored"].str.starts_with("no_verdict").all()
    assert failed["trace"].str.contains("I can't help with that.", literal=True).all()
