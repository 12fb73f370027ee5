"""The policy's own length-normalised log-likelihood of a response: log π(y|x) / |y|.

The reward that SimPO trains on (Meng et al., arXiv 2405.14734, Section 2.2). No reference is asked,
no text is generated and none is parsed. What the policy finds likely is not yet good: let it be one
judgment among others.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import LoglikelihoodSettings, Requirement
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards


class MeanLogprobConfig(JudgeConfig):
    kind: Literal["mean_logprob"] = "mean_logprob"
    model: str = "policy"
    temperature: float = Field(
        0.1, gt=0, description="Nats a token that are worth one unit of log-odds."
    )


class MeanLogprobJudge(Judge):
    """See the module."""

    config: MeanLogprobConfig

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "loglikelihood", LoglikelihoodSettings())]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows = candidates.responses.join(candidates.prompts, on="prompt_id", how="left").select(
            "response_id", "messages", "finished", prompt_id="prompt_id", completion="text"
        )
        found = inference.ask(self.config.model, "loglikelihood", LoglikelihoodSettings(), rows)
        scores = rows.select("response_id").with_columns(
            score=found["logprob"] / found["n_tokens"], unscored=found["error"]
        )
        return from_rewards(
            self.name, candidates.comparisons, scores, temperature=self.config.temperature
        )
