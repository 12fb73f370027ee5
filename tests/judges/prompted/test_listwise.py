"""The listwise judge: several orders, Plackett-Luce from logits, Borda from written rankings."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges.panels import asking, build, by_text, candidates
from judges.speaking import Speaking, Weighing, in_form

from prefdata.engines.base import Structure
from prefdata.errors import ConfigError
from prefdata.judges.prompted.listwise import ListwiseJudge

WORTH = {"good": 2.0, "fair": 1.0, "poor": 0.0}


def judge(**settings: object) -> ListwiseJudge:
    return build("listwise", model="judge", **settings)


def list_shown(turns: list[str]) -> list[str]:
    """The responses in the order in which the judge reads them."""
    return re.findall(r"(?s)\[Response [A-Z]\]\n(.*?)\n\[End of response", turns[0])


def ranking(turns: list[str], structure: Structure | None) -> str:
    order = sorted(zip(list_shown(turns), "ABCDEFGH", strict=False), key=lambda x: -WORTH[x[0]])
    return in_form(" > ".join(letter for _, letter in order), structure, "ranking")


def test_utilities_of_the_first_choice_make_the_preference() -> None:
    def weigh(turns: list[str], options: object) -> list[float]:
        assert options == ("A", "B", "C")
        # A liking for early places: it falls on all alike, over an order and its reverse.
        return [WORTH[text] - 0.4 * place for place, text in enumerate(list_shown(turns))]

    given_ = candidates({"Why?": list(WORTH)})
    engine = Weighing(weigh)
    found = by_text(judge().judge(given_, asking(judge=engine)), given_)
    assert found["Why?", "good", "fair"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert found["Why?", "good", "poor"] == pytest.approx(1 / (1 + math.exp(-2)))
    orders = [tuple(list_shown(turns)) for turns in engine.weighed]
    assert len(orders) == 4
    assert Counter(orders) == Counter(order[::-1] for order in orders)


@pytest.mark.parametrize("held", [[], ["json_schema"], ["regex"]])
def test_written_rankings_make_borda_scores(held: list[str]) -> None:
    given_ = candidates({"Why?": list(WORTH)})
    found = judge().judge(given_, asking(judge=Speaking(ranking, held)))
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    rewards = {
        text[row[f"response_{side}"]]: row[f"reward_{side}"]
        for row in found.to_dicts()
        for side in "ab"
    }
    assert rewards == {"good": 1.0, "fair": 0.5, "poor": 0.0}
    preferences = by_text(found, given_)
    assert preferences["Why?", "good", "poor"] == 1.0
    assert preferences["Why?", "good", "fair"] == preferences["Why?", "fair", "poor"] == 0.75
    assert found["trace"].null_count() == found.height


def test_a_judge_that_ranks_by_place_prefers_nothing() -> None:
    engine = Speaking(lambda _, structure: in_form("A > B > C", structure, "ranking"))
    found = judge().judge(candidates({"Why?": list(WORTH)}), asking(judge=engine))
    assert found["preference"].to_list() == [0.5] * 3


@pytest.mark.parametrize(
    "said", ["A > B", "A > B > B", "A > B > C > D", "B, A, C", "A>B>C>", "A > B > D", "C"]
)
def test_one_ranking_that_is_none_leaves_the_prompt_unscored(said: str) -> None:
    def say(turns: list[str], structure: Structure | None) -> str:
        spoiled = "Why?" in turns[0] and list_shown(turns)[0] == "good"
        return f"[[{said}]]" if spoiled else ranking(turns, structure)

    given_ = candidates({"Why?": list(WORTH), "When?": ["good", "poor"]})
    # In ten orders of these three responses each stands first at least once.
    found = judge(permutations=10).judge(given_, asking(judge=Speaking(say)))
    preferences = by_text(found, given_)
    assert preferences["When?", "good", "poor"] == 1.0
    assert [p for (question, *_), p in preferences.items() if question == "Why?"] == [None] * 6
    failed = found.drop_nulls("unscored")
    assert failed["unscored"].str.starts_with("not_a_ranking: ").all()
    assert failed["trace"].str.contains(f"[[{said}]]", literal=True).all()


@settings(max_examples=20)
@given(st.permutations(list("abcdef")), st.integers(0, 99))
def test_the_orders_follow_from_the_texts_alone(responses: list[str], salt: int) -> None:
    def orders(panel: list[str], salt: int) -> list[list[str]]:
        engine = Weighing(lambda _, options: [0.0] * len(options))
        judge().judge(candidates({"Why?": panel}, salt), asking(judge=engine))
        return sorted(list_shown(turns) for turns in engine.weighed)

    assert orders(list(responses), salt) == orders(list("abcdef"), 0)


def test_a_response_that_is_there_twice_is_listed_once() -> None:
    given_ = candidates({"Why?": ["good", "poor"]})
    twice = given_.responses.vstack(
        given_.responses.with_columns(response_id=given_.responses["response_id"] + "x")
    )
    engine = Weighing(lambda turns, _: [WORTH[text] for text in list_shown(turns)])
    given_ = type(given_)(given_.prompts, twice, given_.comparisons)
    (row,) = judge().judge(given_, asking(judge=engine)).to_dicts()
    assert all(len(list_shown(turns)) == 2 for turns in engine.weighed)
    assert row["preference"] in (pytest.approx(0.8808, abs=1e-4), pytest.approx(0.1192, abs=1e-4))


def test_too_many_responses_are_not_ranked_and_say_which_setting_allows_them() -> None:
    engine = Weighing(lambda turns, _: [WORTH[text] for text in list_shown(turns)])
    given_ = candidates({"Why?": list(WORTH), "When?": ["good", "poor"]})
    found = judge(max_responses=2).judge(given_, asking(judge=engine))
    assert by_text(found, given_)["When?", "good", "poor"] is not None
    reasons = set(found["unscored"].drop_nulls())
    assert reasons == {
        "too_many_responses: 3, more than judge.judges.0.max_responses (2); raise it (at most 26)"
    }


def test_the_largest_list_is_checked_before_any_work() -> None:
    need = judge(max_responses=5).requirements()[0]
    call = need.resolve({"judge": Weighing(lambda *_: [0.0])})
    assert (call.operation, call.settings.model_dump()) == (
        "choose",
        {"options": ("A", "B", "C", "D", "E")},
    )
    with pytest.raises(ConfigError, match="set json_schema, regex, text or auto"):
        judge(verdict="choice")
