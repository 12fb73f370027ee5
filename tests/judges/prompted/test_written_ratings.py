"""Critique and hindsight: written first, rated then, in a turn of its own; the text is kept."""

from __future__ import annotations

import pytest
from judges.panels import asking, build, candidates
from judges.speaking import Speaking, Weighing, in_form

from prefdata.engines.base import Structure

BOTH = pytest.mark.parametrize("kind", ["critique", "hindsight"])


@BOTH
def test_the_text_comes_first_and_the_rating_is_asked_for_after_it(
    kind: str,
) -> None:
    engine = Weighing(
        lambda turns, options: [0.0 if option == turns[1][-1] else -9.0 for option in options],
        lambda turns, _: "Good points. 5" if "\ngood\n" in turns[0] else "[[5]] Poor. 2",
    )
    given_ = candidates({"Why?": ["good", "poor"]})
    found = build(kind, model="judge").judge(given_, asking(judge=engine))
    assert len(engine.read) == len(engine.weighed) == 2
    for turns in engine.weighed:
        assert turns[0] in [asked for (asked,) in engine.read]
        assert "Reply with the rating alone" in turns[2]
        assert "no rating yet" in turns[0]
    (row,) = found.to_dicts()
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    rewards = {text[row["response_a"]]: row["reward_a"], text[row["response_b"]]: row["reward_b"]}
    assert rewards == pytest.approx({"good": 5.0, "poor": 2.0}, abs=0.01)
    one, other = (text[row[f"response_{side}"]] for side in "ab")
    written = {"good": "Good points. 5", "poor": "[[5]] Poor. 2"}
    assert row["trace"] == f"[a]\n{written[one]}\n\n[b]\n{written[other]}"


@BOTH
@pytest.mark.parametrize(
    ("said", "reason"),
    [("", "empty"), ("<think>Hm.", "only_thoughts"), ("<think>Hm.</think> ", "only_thoughts")],
)
def test_without_a_text_no_rating_is_asked_for(kind: str, said: str, reason: str) -> None:
    engine = Weighing(
        lambda _, options: [0.0] * len(options),
        lambda turns, _: said if "\npoor\n" in turns[0] else "Fine.",
    )
    given_ = candidates({"Why?": ["good", "poor"]})
    (row,) = build(kind, model="judge").judge(given_, asking(judge=engine)).to_dicts()
    assert row["preference"] is None
    assert row["unscored"].startswith(reason)
    assert len(engine.weighed) == 1
    assert said.strip() in row["trace"]
    assert "Fine." in row["trace"]


@BOTH
def test_a_text_that_was_cut_off_is_not_rated_by(kind: str) -> None:
    engine = Speaking(lambda *_: "It is good in that", finish="length")
    given_ = candidates({"Why?": ["good", "poor"]})
    (row,) = build(kind, model="judge").judge(given_, asking(judge=engine)).to_dicts()
    assert row["unscored"].startswith("cut_off: ")
    assert "judge.judges.0.trace_tokens" in row["unscored"]
    assert len(engine.read) == 2


def test_a_rating_that_stands_in_the_text_is_not_read() -> None:
    def say(turns: list[str], structure: Structure | None) -> str:
        return "It deserves:\n[[5]]" if len(turns) == 1 else "I won't say."

    given_ = candidates({"Why?": ["good", "poor"]})
    engine = Speaking(say)
    (row,) = build("critique", model="judge").judge(given_, asking(judge=engine)).to_dicts()
    assert row["preference"] is row["reward_a"] is row["reward_b"] is None
    assert row["unscored"].startswith("no_verdict")
    assert row["trace"].count("It deserves") == row["trace"].count("I won't say.") == 2
    # The judge's own words come back to it as its own turn, without a verdict's form.
    assert all("[[5]]" not in turns[1] for turns in engine.read if len(turns) > 1)


def test_hindsight_rates_by_what_came_of_it() -> None:
    engine = Speaking(lambda _, structure: in_form("3", structure))
    given_ = candidates({"Why?": ["good", "poor"]})
    build("hindsight", model="judge").judge(given_, asking(judge=engine))
    first = [turns for turns in engine.read if len(turns) == 1]
    assert all("acted on it" in turns[0] and "[Criteria]" not in turns[0] for turns in first)
    second = [turns for turns in engine.read if len(turns) == 3]
    assert all("5: acting on it got the user what they wanted" in t[2] for t in second)
