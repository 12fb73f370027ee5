"""A reward model that is a linear head over frozen sentence embeddings.

Reusing Embeddings (arXiv 2502.04357): embeddings are computed once, a small head is trained on
preference pairs in seconds, on a CPU and reproducibly. The head is trained by
`prefdata reward-head` (reward_head.py).
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.engines.base import Requirement, Settings
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import matrix
from prefdata.judges.asking.conversation import transcript
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards
from prefdata.reward_head.head import load_head


class EmbeddingRewardConfig(JudgeConfig):
    kind: Literal["embedding_reward"] = "embedding_reward"
    model: str = "embedder"
    head: str = "data/reward_head"


class EmbeddingRewardJudge(Judge):
    """See the module."""

    config: EmbeddingRewardConfig

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "embed")]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        head = load_head(self.config.head, inference.fingerprint(self.config.model))
        questions = candidates.prompts.select(
            prompt_id="prompt_id", text=transcript(pl.col("messages"))
        )
        responses = candidates.responses.select("response_id", "text", prompt_id="prompt_id")
        asked_q = inference.ask(self.config.model, "embed", Settings(), questions)
        asked_a = inference.ask(self.config.model, "embed", Settings(), responses)
        embedded = questions.select(prompt_id="place").with_columns(
            question=asked_q["embedding"], unasked=asked_q["error"]
        )
        joined = (
            responses.select("response_id", "text", prompt_id="place")
            .with_columns(response=asked_a["embedding"], error=asked_a["error"])
            .join(embedded, on="prompt_id", how="left", maintain_order="left")
        )
        usable = joined.filter(pl.col("response").is_not_null() & pl.col("question").is_not_null())
        # No rows make a matrix without a width, which fits no head.
        score = pl.Series(dtype=pl.Float64)
        if usable.height:
            vectors = matrix(usable["question"]), matrix(usable["response"])
            score = pl.Series(head.score(head.rows(*vectors, usable["text"])))
        scores = usable.select("response_id").with_columns(score=score)
        scored = joined.select("response_id", unscored=pl.coalesce("error", "unasked")).join(
            scores, on="response_id", how="left"
        )
        return from_rewards(self.name, candidates.comparisons, scored)
