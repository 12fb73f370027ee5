"""The policy's own length-normalised log-likelihood of a response: log π(y|x) / |y|."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import LoglikelihoodSettings, Requirement
from prefdata.inference.completions import ask_completions
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards
from prefdata.messages.completion import COMPLETION_HELP, Completion
from prefdata.parts.numbers import Scale


class MeanLogprobConfig(JudgeConfig):
    kind: Literal["mean_logprob"] = "mean_logprob"
    model: str = Field("policy", description="The model's name.", examples=["other"])
    temperature: Scale = Field(
        0.1,
        description="The difference in nats per token that is worth one unit of log-odds.",
        examples=[2.0],
    )
    completion: Completion = Field("all", description=COMPLETION_HELP, examples=["thoughts"])

    asks_again: ClassVar[frozenset[str]] = frozenset({"model", "completion"})


class MeanLogprobJudge(Judge):
    """Rewards what the policy finds likely per token, as SimPO does (Meng et al., arXiv 2405.14734,
    Section 2.2).

    It needs no reference, and no text is generated or parsed. A likely response is not always a
    good one: use this judge beside others.
    """

    config: MeanLogprobConfig

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "loglikelihood", LoglikelihoodSettings())]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows, settings = candidates.join_prompts(), LoglikelihoodSettings()
        asked = ask_completions(
            inference, self.config.model, "loglikelihood", settings, rows, self.config.completion
        )
        rewards = candidates.responses.select("response_id").with_columns(
            reward=asked["logprob"] / asked["n_tokens"], unscored=asked["error"]
        )
        return from_rewards(
            self.name, candidates.comparisons, rewards, temperature=self.config.temperature
        )
