"""The policy's own length-normalised log-likelihood of an answer: log π(y|x) / |y|.

The reward that SimPO trains on (Meng et al., arXiv 2405.14734, Section 2.2). No reference is asked,
no text is generated and none is parsed. What the policy finds likely is not yet good: let it be one
opinion among others.
"""

from __future__ import annotations

import polars as pl
from pydantic import Field

from prefdata.engines.base import Operation, Scoring
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_scores


class MeanLogprobConfig(JudgeConfig):
    model: str = "policy"
    temperature: float = Field(
        0.1, gt=0, description="Nats a token that are worth one unit of log-odds."
    )


class MeanLogprobJudge(Judge):
    """See the module."""

    kind = "mean_logprob"
    config_model = MeanLogprobConfig
    config: MeanLogprobConfig

    def needs(self) -> list[tuple[str, Operation]]:
        return [(self.config.model, "score")]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows = candidates.responses.join(candidates.prompts, on="prompt_id", how="left").select(
            "response_id", "messages", "finished", place="prompt_id", completion="text"
        )
        found = inference.ask(self.config.model, "score", Scoring(), rows)
        scores = rows.select("response_id").with_columns(
            score=found["logprob"] / found["n_tokens"], unscored=found["error"]
        )
        return from_scores(
            self.name, candidates.comparisons, scores, temperature=self.config.temperature
        )
