"""The pointwise judge: the rating it expects, not the likeliest one."""

from __future__ import annotations

import math

import pytest
from judges.panels import asking, build, by_text, candidates
from judges.speaking import Speaking, Weighing, in_form

from prefdata.errors import ConfigError
from prefdata.judges.prompted.pointwise import PointwiseJudge

WHERE = "judge.judges.0"


def judge(**settings: object) -> PointwiseJudge:
    return build("pointwise", model="judge", **settings)


def logs(*shares: float) -> list[float]:
    # Log-probs of options need not sum to one: the rest went to other tokens.
    return [math.log(share / 8) if share else -math.inf for share in shares]


def test_the_reward_is_the_mean_rating_and_tells_responses_of_one_likeliest_rating_apart() -> None:
    shares = {"good": (0, 0, 0.1, 0.5, 0.4), "fair": (0.2, 0.1, 0.1, 0.5, 0.1)}

    def weigh(turns: list[str], options: object) -> list[float]:
        assert options == ("1", "2", "3", "4", "5")
        return logs(*next(v for k, v in shares.items() if f"[Response]\n{k}\n" in turns[0]))

    given_ = candidates({"Why?": ["good", "fair"]})
    found = judge().judge(given_, asking(judge=Weighing(weigh)))
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    (row,) = found.to_dicts()
    rewards = {text[row["response_a"]]: row["reward_a"], text[row["response_b"]]: row["reward_b"]}
    # 3 * 0.1 + 4 * 0.5 + 5 * 0.4, and 0.2 + 2 * 0.1 + 3 * 0.1 + 4 * 0.5 + 5 * 0.1
    assert rewards == pytest.approx({"good": 4.3, "fair": 3.2})
    wanted = 1 / (1 + math.exp(-1.1))
    assert by_text(found, given_)["Why?", "good", "fair"] == pytest.approx(wanted)
    softer = judge(rating_temperature=2.0).judge(given_, asking(judge=Weighing(weigh)))
    wanted = 1 / (1 + math.exp(-0.55))
    assert by_text(softer, given_)["Why?", "good", "fair"] == pytest.approx(wanted)
    assert row["trace"] is None


def test_a_written_rating_is_the_reward() -> None:
    ratings = {"good": "4", "poor": "2"}

    def say(turns: list[str], structure: object) -> str:
        return in_form(next(v for k, v in ratings.items() if f"\n{k}\n" in turns[0]), structure)  # type: ignore[arg-type]

    for held in ([], ["json_schema"], ["choice"]):
        given_ = candidates({"Why?": ["good", "poor"]})
        found = judge().judge(given_, asking(judge=Speaking(say, held)))
        assert sorted(found.select("reward_a", "reward_b").row(0)) == [2.0, 4.0]
        wanted = 1 / (1 + math.exp(-2))
        assert by_text(found, given_)["Why?", "good", "poor"] == pytest.approx(wanted)


def test_the_judge_reads_criteria_scale_and_anchors() -> None:
    rubric = {"criteria": ["It rhymes."], "low": 0, "high": 3, "anchors": {0: "prose", 3: "verse"}}
    engine = Weighing(lambda _, options: [0.0] * len(options))
    found = judge(rubric=rubric).judge(candidates({"Why?": ["x", "y"]}), asking(judge=engine))
    wanted = "- It rhymes.\n\nScale: from 0 (worst) to 3 (best)\n0: prose\n3: verse\n"
    assert all(f"[Criteria]\n{wanted}[End of criteria]" in turns[0] for turns in engine.weighed)
    assert found["reward_a"].to_list() == [1.5]


@pytest.mark.parametrize(
    ("rubric", "says"),
    [
        ({"low": 5, "high": 5, "anchors": {}}, "has to be below high"),
        ({"high": 10}, "less than or equal to 9"),
        ({"high": 4}, "anchors outside of 1 to 4: 5"),
        ({"criteria": []}, "at least 1 item"),
        ({"scale": 5}, "valid here: anchors, criteria, high, low"),
    ],
)
def test_a_rubric_that_can_not_be_is_refused(rubric: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match="rubric") as caught:
        judge(rubric=rubric)
    assert says in str(caught.value)
