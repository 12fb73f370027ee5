"""The reasoning judge: a rubric once a prompt, a comparison an order, then the letter."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from judges.panels import asking, build, by_text, candidates
from judges.speaking import Weighing

from prefdata.judges.prompted.reasoning import ReasoningJudge

PANEL = {"Why?": ["good", "poor", "fair"], "When?": ["good", "poor"]}


def judge(**settings: object) -> ReasoningJudge:
    return build("reasoning", model="judge", **settings)


def say(turns: list[str], _: object) -> str:
    if "[Response A]" not in turns[0]:
        return f"Guide to {turns[0].partition('[Prompt]')[2].split()[0]}"
    return f"Compared: {response(turns, 'A')} and {response(turns, 'B')}."


def response(turns: list[str], letter: str) -> str:
    return turns[0].partition(f"[Response {letter}]\n")[2].partition("\n")[0]


def weigh(turns: list[str], _: object) -> list[float]:
    worth = {"good": 2.0, "fair": 1.0, "poor": 0.0}
    assert turns[1] == f"Compared: {response(turns, 'A')} and {response(turns, 'B')}."
    # A liking for the first place, which has to cancel.
    return [worth[response(turns, "A")] + 0.7, worth[response(turns, "B")]]


@pytest.mark.parametrize("first", ["rubric", "solution"])
def test_each_step_reads_what_the_last_one_wrote(first: str) -> None:
    engine = Weighing(weigh, say)
    given_ = candidates(PANEL)
    found = judge(first=first).judge(given_, asking(judge=engine))
    steps = Counter("[Response A]" in turns[0] for turns in engine.read)
    assert steps == {False: 2, True: 2 * 4}
    assert len(engine.weighed) == 2 * 4
    for (asked,) in engine.read:
        if "[Response A]" in asked:
            question = asked.partition("[Prompt]\n")[2].partition("\n")[0]
            title = first.capitalize()
            assert f"[{title}]\nGuide to {question}\n[End of {title}]" in asked
        else:
            assert ("rubric" in asked.split(":")[0]) is (first == "rubric")
            assert not any(text in asked for text in ("poor", "fair"))
    preferences = by_text(found, given_)
    assert preferences["Why?", "good", "poor"] == pytest.approx(1 / (1 + math.exp(-2)))
    assert preferences["Why?", "fair", "poor"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert (found["forward"] > found["reverse"]).all()


def test_the_trace_holds_guide_and_comparison_of_both_orders() -> None:
    given_ = candidates({"Why?": ["good", "poor"]})
    (row,) = judge().judge(given_, asking(judge=Weighing(weigh, say))).to_dicts()
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    a, b = text[row["response_a"]], text[row["response_b"]]
    assert row["trace"] == (
        f"[a first]\nGuide to Why?\n\nCompared: {a} and {b}.\n\n"
        f"[b first]\nGuide to Why?\n\nCompared: {b} and {a}."
    )


def test_without_a_guide_nothing_is_compared_and_without_a_comparison_nothing_decided() -> None:
    def failing(turns: list[str], _: object) -> str:
        if "When?" in turns[0] and "[Response A]" not in turns[0]:
            return ""
        return "" if response(turns, "A") == "fair" else say(turns, _)

    engine = Weighing(weigh, failing)
    given_ = candidates(PANEL)
    found = judge().judge(given_, asking(judge=engine))
    assert found["unscored"].drop_nulls().to_list() == ["empty: the model wrote nothing"] * 3
    preferences = by_text(found, given_)
    assert [key for key, p in preferences.items() if p is not None] == [
        key for key in preferences if key[0] == "Why?" and "fair" not in key
    ]
    assert not any("When?" in turns[0] for turns in engine.weighed)
    assert not any("When?" in turns[0] and "[Response A]" in turns[0] for turns in engine.read)
    # Of four orders with "fair", the two that show it second were compared and weighed.
    assert len(engine.weighed) == 2 + 2
