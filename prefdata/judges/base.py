"""The contract of a judge: candidates in, one judgment per comparison out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import polars as pl
from pydantic import Field

from prefdata.comparisons.traces import RESPONSES, join_traces
from prefdata.inference.loop import Inference
from prefdata.judges.asking.demonstrations import Demonstrations
from prefdata.parts import Part, PartConfig
from prefdata.records.base import fill_columns
from prefdata.records.judgment import HELPFULNESS, Judgment
from prefdata.statistics.odds import sigmoid


class JudgeConfig(PartConfig):
    """The settings that every judge has; a judge adds its own."""

    name: str | None = Field(
        None, description="The judge's name in its judgments; null: its kind.", examples=["second"]
    )
    dimension: str = Field(
        HELPFULNESS,
        min_length=1,
        description="The quality that its judgments are about.",
        examples=["wit"],
    )


@dataclass(frozen=True)
class Candidates:
    """What a judge is given: whole prompts with all their responses.

    Args:
        prompts: prompt_id, messages, tools, ground_truth (what verifiers check against), responses
            and annotations (both from the sources); the last four may be null or absent.
        responses: prompt_id, response_id, text and finished, and where they were made of more
            than text also policy, content, thoughts and tool_calls, as
            `Context.read_responses` has them.
        comparisons: prompt_id, response_a, response_b, with response_a < response_b. A judge that
            rewards a response by itself is also asked about one alone: there both are that one.
        demonstrations: For the judges that take them, from the second cycle on.
    """

    prompts: pl.DataFrame
    responses: pl.DataFrame
    comparisons: pl.DataFrame
    demonstrations: Demonstrations | None = None

    def join_prompts(self) -> pl.DataFrame:
        """The responses, in their order, with their prompts' messages and tools."""
        there = [name for name in ("messages", "tools") if name in self.prompts.columns]
        prompts = self.prompts.select("prompt_id", *there)
        return self.responses.join(prompts, on="prompt_id", how="left", maintain_order="left")

    def slices(self, comparisons: int) -> Iterator[Candidates]:
        """Split into slices of whole prompts: as few as have about this many comparisons at most,
        all of about one size."""
        count = min(ceil(self.comparisons.height / comparisons), self.prompts.height)
        if count < 2:
            yield self
            return
        for part in self.prompts.iter_slices(ceil(self.prompts.height / count)):
            ids = part.select("prompt_id")
            yield Candidates(
                part,
                self.responses.join(ids, on="prompt_id", how="semi", maintain_order="left"),
                self.comparisons.join(ids, on="prompt_id", how="semi", maintain_order="left"),
                self.demonstrations,
            )


class Judge(Part):
    """One judge. It asks models through `Inference` alone, so every call is remembered.

    Permuting the candidates or renaming their ids changes none of its judgments.
    """

    config: JudgeConfig
    takes_demonstrations: ClassVar[bool] = False
    gives_rewards: bool = True
    """Whether its judgments have a reward of each response."""
    rewards_are_relative: ClassVar[bool] = False
    """Whether its rewards say how a response stands among those that it was shown with, and nothing
    of one alone."""

    @property
    def rewards_alone(self) -> bool:
        """Whether it rewards a response by itself, whatever it is compared with."""
        return self.gives_rewards and not self.rewards_are_relative

    @property
    def name(self) -> str:
        """The judge's name in its judgments: the setting `name`, or its kind."""
        return self.config.name or self.kind

    def list_dimensions(self) -> Sequence[str] | None:
        """The dimensions of its judgments; None: those that the rows bring."""
        return [self.config.dimension]

    def count_judgments(self) -> int | None:
        """Its judgments of a comparison; None: as many as annotators gave."""
        dimensions = self.list_dimensions()
        return None if dimensions is None else len(dimensions)

    @abstractmethod
    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        """Judge every comparison.

        Returns:
            The columns of `Judgment`, with at least one row per comparison: one each, or one per
            dimension or annotator. `dimension` may be null: `judge_all` fills it in.
        """

    def judge_all(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        """Judge every comparison; judgments without a dimension get that of the settings."""
        dimension = pl.coalesce("dimension", pl.lit(self.config.dimension))
        return self.judge(candidates, inference).with_columns(dimension=dimension)


def fill_judgments(judge: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows in the columns of `Judgment`; missing columns are null.

    A preference that is not a number in [0, 1] becomes Unscored: never a zero, never a loss. A
    NaN in another column becomes null, or it would spread through every mean.
    """
    filled = fill_columns(rows, Judgment).with_columns(judge=pl.lit(judge))
    valid = pl.col("preference").is_between(0, 1) & pl.col("unscored").is_null()
    reason = pl.coalesce(
        "unscored", pl.format("not_a_probability: {}", pl.col("preference").cast(pl.String))
    )
    checked = filled.with_columns(
        preference=pl.when(valid).then("preference"),
        unscored=pl.when(~valid.fill_null(False)).then(pl.coalesce(reason, pl.lit("missing"))),
    )
    return checked.fill_nan(None)


def from_rewards(
    judge: str, comparisons: pl.DataFrame, rewards: pl.DataFrame, temperature: float = 1.0
) -> pl.DataFrame:
    """Judgments from one reward per response, by the Bradley-Terry model:
    P(a ≻ b) = sigmoid((reward_a - reward_b) / temperature).

    Args:
        judge: The judge's name.
        comparisons: prompt_id, response_a, response_b.
        rewards: response_id, reward (null where there is none; an infinite one or NaN counts as
            none), unscored (why there is none) and optionally trace.
        temperature: The difference of rewards that is worth one unit of log-odds.
    """
    joined = _join_both(comparisons, rewards)
    difference = (pl.col("reward_a") - pl.col("reward_b")) / temperature
    return fill_judgments(judge, joined.with_columns(preference=sigmoid(difference)))


def from_chances(judge: str, comparisons: pl.DataFrame, chances: pl.DataFrame) -> pl.DataFrame:
    """Judgments from each response's probability of being good.

    P(a ≻ b) is the probability that a is good and b is not, with ties split evenly. With r the
    probabilities, taken as independent, that is (1 + r_a - r_b) / 2. `chances` has the columns of
    the `rewards` of `from_rewards`.
    """
    joined = _join_both(comparisons, chances)
    preference = (1 + pl.col("reward_a") - pl.col("reward_b")) / 2
    return fill_judgments(judge, joined.with_columns(preference=preference))


def _join_both(comparisons: pl.DataFrame, rewards: pl.DataFrame) -> pl.DataFrame:
    """The comparisons with the rewards of both responses, and their `unscored` and `trace`."""
    finite = pl.col("reward").is_finite()
    if "trace" not in rewards.columns:
        rewards = rewards.with_columns(trace=pl.lit(None, dtype=pl.String))
    rewards = rewards.with_columns(
        reward=pl.when(finite).then("reward"),
        unscored=pl.coalesce(
            "unscored", pl.when(~finite).then(pl.format("not_a_reward: {}", "reward"))
        ),
    )
    joined = comparisons
    for side in ("a", "b"):
        of_side = rewards.select(
            pl.col("response_id").alias(f"response_{side}"),
            pl.col("reward", "unscored", "trace").name.suffix(f"_{side}"),
        )
        joined = joined.join(of_side, on=f"response_{side}", how="left", maintain_order="left")
    return joined.with_columns(
        # Of two reasons the first in text order, so that swapping a and b changes nothing.
        unscored=pl.min_horizontal("unscored_a", "unscored_b"),
        trace=join_traces("trace_a", "trace_b", RESPONSES),
    )
