"""The policy's implicit reward against its reference: beta * (log π(y|x) - log π_ref(y|x)).

Direct Preference Optimization (arXiv 2305.18290, Section 4): a policy tuned from a reference is
itself a reward model. No text is generated and none is parsed.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import LoglikelihoodSettings, Requirement
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards


class ImplicitRewardConfig(JudgeConfig):
    kind: Literal["implicit_reward"] = "implicit_reward"
    policy: str = "policy"
    reference: str = "reference"
    beta: float = Field(0.1, gt=0)
    per_token: bool = Field(False, description="Divide by the response's tokens.")


class ImplicitRewardJudge(Judge):
    """See the module."""

    config: ImplicitRewardConfig

    def requirements(self) -> list[Requirement]:
        models = (self.config.policy, self.config.reference)
        return [Requirement.of(model, "loglikelihood", LoglikelihoodSettings()) for model in models]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows = candidates.responses.join(candidates.prompts, on="prompt_id", how="left").select(
            "response_id", "messages", "finished", prompt_id="prompt_id", completion="text"
        )
        policy, reference = (
            inference.ask(model, "loglikelihood", LoglikelihoodSettings(), rows)
            for model in (self.config.policy, self.config.reference)
        )
        ratio = self.config.beta * (policy["logprob"] - reference["logprob"])
        if self.config.per_token:
            ratio = ratio / policy["n_tokens"]
        scores = rows.select("response_id").with_columns(
            score=ratio,
            unscored=pl.select(pl.coalesce(policy["error"], reference["error"])).to_series(),
        )
        return from_rewards(self.name, candidates.comparisons, scores)
