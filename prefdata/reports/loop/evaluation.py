"""The report of `prefdata evaluate`: how good a policy's responses to held-out prompts are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from prefdata.files import storage
from prefdata.files.json_files import read_model, write_model
from prefdata.reports.base import Block, Figures, Grid, Report, join_counts
from prefdata.tables.layout import Asked

FILE = "evaluation.json"

_POLICIES = {
    "policy": "its name under models",
    "responses": "those that were made",
    "words": "their mean, with its interval",
    "tokens": "generated tokens, thoughts included",
    "finished": "the share whose turn ended before max_tokens",
    "failed": "responses that could not be made, and why",
}
_WINS = {
    "judge": "its name, and the dimension where it has several",
    "win rate": "the share that it has the policy win, a tie as half, with its interval",
    "won": "comparisons",
    "tied": "identical responses, or a verdict for neither",
    "lost": "comparisons",
    "turned": "verdicts that turn round when the two are shown in the other order",
    "Unscored": "comparisons without a verdict, which count nowhere",
}
_REWARDS = {
    "judge": "its name, and the dimension where it has several",
    "reward": "its mean reward of a response, of a verifier the share that passes",
    "against": "the same of the other policy",
    "difference": "of the two on the same prompts",
    "Unscored": "responses without a reward, which count nowhere",
}


class Estimate(Figures):
    """A mean over responses, with its 95 % interval when prompts are resampled."""

    value: float
    low: float | None = Field(description="Null: there is but one prompt.")
    high: float | None
    count: int = Field(description="The responses or comparisons that it is of.")

    def format(self) -> str:
        """`0.62 [0.55, 0.7]`."""
        if self.low is None or self.high is None:
            return _number(self.value)
        return f"{_number(self.value)} [{_number(self.low)}, {_number(self.high)}]"


class PolicyFigures(Figures):
    """A policy's responses."""

    name: str
    fingerprint: str
    responses: int
    failed: dict[str, int] = Field(description="Responses that could not be made, by reason.")
    words: Estimate
    tokens: Estimate | None = Field(description="Null: its server doesn't count them.")
    finished: Estimate


class JudgeFigures(Figures):
    """What a judge says of the policy's responses, on one dimension."""

    judge: str
    dimension: str
    win_rate: Estimate | None = Field(
        description="The share that it has the policy win, a tie as half; null: not compared."
    )
    won: int
    tied: int
    lost: int
    turned: int | None = Field(
        description="Verdicts that the other order turned round; null: no judge of both orders."
    )
    reward: Estimate | None = Field(
        description="Its mean reward; null: it rewards no response by itself."
    )
    reward_against: Estimate | None
    difference: Estimate | None = Field(description="`reward` less `reward_against`.")
    unscored: dict[str, int] = Field(description="Without verdict or reward, by reason.")


class Divergence(Figures):
    """How far the policy is from its reference, by the log-probabilities of its own responses."""

    reference: str
    fingerprint: str
    per_response: Estimate = Field(description="Mean of log π(y|x) - log π_ref(y|x), nats.")
    per_token: Estimate = Field(description="Their sum by the number of tokens, nats.")
    unscored: dict[str, int] = Field(description="Responses without it, by reason.")
    estimates: str = Field(description="What this is an estimate of.")


class Evaluation(Report):
    """An evaluation of a policy. The same models and prompts give the same."""

    prompts: int
    prompts_digest: str = Field(
        description="Of the prompts' ids: evaluations of one digest are of the same prompts."
    )
    n: int
    temperature: float
    top_p: float
    max_tokens: int
    policy: PolicyFigures
    against: PolicyFigures | None
    judges: list[JudgeFigures]
    divergence: Divergence | None = Field(description="Null: evaluate.reference is not set.")
    notes: list[str]
    asked: dict[str, Asked] = Field(description='By call, such as "generate policy".')
    table: str = Field(description="The folder of the responses, and what the judges said of each.")

    def blocks(self) -> list[Block]:
        """The policies, the win rates, the rewards, KL and notes."""
        prompts = f"{self.prompts:,} held-out prompt{'' if self.prompts == 1 else 's'}"
        times = "" if self.n == 1 else f", {self.n} responses each"
        top_p = "" if self.top_p == 1 else f", top_p {self.top_p:g}"
        policies = [_list_policy(each) for each in (self.policy, self.against) if each]
        blocks: list[Block] = [
            f"{prompts}{times}; temperature {self.temperature:g}{top_p}, "
            f"at most {self.max_tokens:,} tokens; intervals of 95 % by prompt",
            _tabulate(_POLICIES, policies),
        ]
        if self.against:
            blocks.append(_tabulate(_WINS, [self._list_wins(each) for each in self.judges]))
        rewarding = [each for each in self.judges if each.reward or not self.against]
        if rewarding:
            blocks.append(_tabulate(_REWARDS, [self._list_rewards(each) for each in rewarding]))
        if self.divergence:
            blocks.append(_describe_divergence(self.divergence))
        return [*blocks, "\n".join([*self.notes, f"responses and judgments: {self.table}"])]

    def list_metrics(self) -> dict[str, Any]:
        """The figures that runs are compared by, by what they are of, without those that were not
        measured."""
        judges: dict[str, dict[str, Any]] = {}
        for each in self.judges:
            judges.setdefault(each.judge, {})[each.dimension] = _list_estimates(each)
        return {
            "prompts": self.prompts,
            "policy": _list_estimates(self.policy),
            "judges": judges,
            **({"divergence": _list_estimates(self.divergence)} if self.divergence else {}),
        }

    def _list_wins(self, each: JudgeFigures) -> tuple[str, ...]:
        return (
            self._name(each),
            each.win_rate.format() if each.win_rate else "",
            *(f"{count:,}" for count in (each.won, each.tied, each.lost)),
            "" if each.turned is None else f"{each.turned:,}",
            join_counts(each.unscored),
        )

    def _list_rewards(self, each: JudgeFigures) -> tuple[str, ...]:
        means = (each.reward, each.reward_against, each.difference)
        return (self._name(each), *map(_cell, means), join_counts(each.unscored))

    def _name(self, each: JudgeFigures) -> str:
        several = [other.judge for other in self.judges].count(each.judge) > 1
        return f"{each.judge}, {each.dimension}" if several else each.judge


def locate_evaluation(data: str) -> str:
    """The file of a run's evaluation."""
    return storage.join(data, FILE)


def read_evaluation(data: str) -> Evaluation | None:
    """The evaluation in a data folder; None if there is none. Raises TableError where it can't be
    read."""
    return read_model(Evaluation, locate_evaluation(data), "prefdata evaluate", "Evaluate again.")


def write_evaluation(data: str, evaluation: Evaluation) -> None:
    """Write the evaluation into a data folder."""
    write_model(locate_evaluation(data), evaluation)


def _list_estimates(figures: Figures) -> dict[str, float]:
    """The means of these figures, with their intervals."""
    found: dict[str, float | None] = {}
    for name in type(figures).model_fields:
        value = getattr(figures, name)
        if isinstance(value, Estimate):
            found |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    return {name: value for name, value in found.items() if value is not None}


def _tabulate(legend: Mapping[str, str], rows: Sequence[Sequence[str]]) -> Grid:
    """The table of these columns, without those that are empty; the last one is of text."""
    heads = list(legend)
    shown = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    return Grid(
        [heads[place] for place in shown],
        [[row[place] for place in shown] for row in rows],
        [number for number, place in enumerate(shown) if 0 < place < len(heads) - 1],
        {heads[place]: legend[heads[place]] for place in shown},
    )


def _list_policy(each: PolicyFigures) -> tuple[str, ...]:
    return (
        each.name,
        f"{each.responses:,}",
        *map(_cell, (each.words, each.tokens)),
        _number(each.finished.value),
        join_counts(each.failed),
    )


def _describe_divergence(each: Divergence) -> str:
    lines = [
        f"log π - log π_ref ({each.reference}), nats: {each.per_response.format()} per response, "
        f"{each.per_token.format()} per token",
        f"  {each.estimates}",
    ]
    if each.unscored:
        lines.append(f"  without it: {join_counts(each.unscored)}")
    return "\n".join(lines)


def _cell(estimate: Estimate | None) -> str:
    return estimate.format() if estimate else ""


def _number(value: float) -> str:
    """Three significant digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
