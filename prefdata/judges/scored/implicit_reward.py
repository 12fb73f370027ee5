"""The policy's implicit reward against its reference: beta * (log π(y|x) - log π_ref(y|x))."""

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


class ImplicitRewardConfig(JudgeConfig):
    kind: Literal["implicit_reward"] = "implicit_reward"
    policy: str = Field("policy", description="The tuned model's name.", examples=["other"])
    reference: str = Field(
        "reference", description="The name of the model it was tuned from.", examples=["other"]
    )
    beta: Scale = Field(0.1, description="The reward per nat of log ratio.", examples=[0.5])
    per_token: bool = Field(
        False, description="Divide by the number of the response's tokens.", examples=[True]
    )
    completion: Completion = Field("all", description=COMPLETION_HELP, examples=["thoughts"])

    asks_again: ClassVar[frozenset[str]] = frozenset({"policy", "reference", "completion"})


class ImplicitRewardJudge(Judge):
    """Rewards responses by the reward model that a tuned policy and its reference define (Direct
    Preference Optimization, arXiv 2305.18290, Section 4). No text is generated or parsed.
    """

    config: ImplicitRewardConfig

    def requirements(self) -> list[Requirement]:
        models = (self.config.policy, self.config.reference)
        return [Requirement.of(model, "loglikelihood", LoglikelihoodSettings()) for model in models]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows, settings = candidates.join_prompts(), LoglikelihoodSettings()
        policy, reference = (
            ask_completions(
                inference, model, "loglikelihood", settings, rows, self.config.completion
            )
            for model in (self.config.policy, self.config.reference)
        )
        reward = self.config.beta * (policy["logprob"] - reference["logprob"])
        if self.config.per_token:
            reward = reward / policy["n_tokens"]
        rewards = candidates.responses.select("response_id").with_columns(
            reward=reward,
            unscored=pl.select(pl.coalesce(policy["error"], reference["error"])).to_series(),
        )
        return from_rewards(self.name, candidates.comparisons, rewards)
