"""The judges there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.errors import ConfigError
from prefdata.judges.base import Judge
from prefdata.judges.human import PeopleJudge
from prefdata.judges.prompted.critique import CritiqueJudge
from prefdata.judges.prompted.hindsight import HindsightJudge
from prefdata.judges.prompted.honesty import HonestyJudge
from prefdata.judges.prompted.listwise import ListwiseJudge
from prefdata.judges.prompted.pairwise import PairwiseJudge
from prefdata.judges.prompted.pointwise import PointwiseJudge
from prefdata.judges.prompted.reasoning import ReasoningJudge
from prefdata.judges.prompted.safety import SafetyJudge
from prefdata.judges.scored.embedding_reward import EmbeddingRewardJudge
from prefdata.judges.scored.implicit_reward import ImplicitRewardJudge
from prefdata.judges.scored.mean_logprob import MeanLogprobJudge
from prefdata.judges.scored.reward_model import RewardModelJudge
from prefdata.judges.verifiers.constraints import ConstraintsJudge
from prefdata.judges.verifiers.exact_match import ExactMatchJudge
from prefdata.judges.verifiers.json_schema import JsonSchemaJudge
from prefdata.judges.verifiers.math_answer import MathAnswerJudge
from prefdata.judges.verifiers.regex_match import RegexMatchJudge
from prefdata.judges.verifiers.unit_tests import UnitTestsJudge
from prefdata.records.judgment import CONSENSUS

JUDGES: dict[str, type[Judge]] = {
    judge.kind: judge
    for judge in (
        ConstraintsJudge,
        CritiqueJudge,
        EmbeddingRewardJudge,
        ExactMatchJudge,
        HindsightJudge,
        HonestyJudge,
        ImplicitRewardJudge,
        JsonSchemaJudge,
        ListwiseJudge,
        MathAnswerJudge,
        MeanLogprobJudge,
        PairwiseJudge,
        PeopleJudge,
        PointwiseJudge,
        ReasoningJudge,
        RegexMatchJudge,
        RewardModelJudge,
        SafetyJudge,
        UnitTestsJudge,
    )
}


def build(parts: Sequence[Part]) -> list[Judge]:
    """The judges of params.yaml, their settings checked and their names distinct."""
    judges = []
    for position, part in enumerate(parts):
        where = f"judge.judges.{position}"
        judges.append(known(JUDGES, part.kind, where)(part.settings(), where))
    names = [judge.name for judge in judges]
    for name in names:
        if names.count(name) > 1 or name == CONSENSUS:
            raise ConfigError(
                f"judge.judges: the name {name!r} is taken", "Give each judge a `name` of its own."
            )
    return judges
