"""A reward model that is a linear head over frozen sentence embeddings."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement, Settings
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import matrix
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards
from prefdata.parts.inputs import InputPath
from prefdata.reward_head.files import check_embedder, load_head
from prefdata.reward_head.head import RewardHead
from prefdata.text.transcript import transcript


class EmbeddingRewardConfig(JudgeConfig):
    kind: Literal["embedding_reward"] = "embedding_reward"
    model: str = Field(
        "embedder",
        description="The embedder's name; the head has to be trained on its embeddings.",
        examples=["other"],
    )
    head: InputPath = Field(
        "data/reward_head",
        description="The folder of the head, which `prefdata reward-head` trains.",
        examples=["data/other_head"],
    )

    asks_again: ClassVar[frozenset[str]] = frozenset({"model"})


class EmbeddingRewardJudge(Judge):
    """Rewards responses by a linear head over the embeddings of prompt and response.

    Reusing Embeddings (arXiv 2502.04357): embeddings are computed once, and a small head is trained
    on preference pairs in seconds, reproducibly and on a CPU.
    """

    config: EmbeddingRewardConfig
    head: RewardHead
    """Set by `setup`."""

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "embed")]

    def setup(self) -> None:
        self.head = load_head(self.config.head)

    def _explain_length(self) -> pl.Expr:
        """Why embeddings don't fit the head; null where they do."""
        wanted = self.head.count_dimensions()
        lengths = [pl.col(side).list.len() for side in ("response", "prompt")]
        others = [
            pl.when(length != wanted).then(
                pl.format(
                    "bad_response: an embedding of {} numbers, the head takes {}", length, wanted
                )
            )
            for length in lengths
        ]
        return pl.coalesce(others) if wanted else pl.lit(None, dtype=pl.String)

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        model = self.config.model
        check_embedder(self.head, self.config.head, inference.fingerprint(model))
        prompts = candidates.prompts.select("prompt_id", text=transcript(pl.col("messages")))
        responses = candidates.responses.select("response_id", "prompt_id", "text")
        of_prompts = inference.ask(model, "embed", Settings(), prompts)
        of_responses = inference.ask(model, "embed", Settings(), responses)
        embedded = prompts.select("prompt_id").with_columns(
            prompt=of_prompts["embedding"], prompt_error=of_prompts["error"]
        )
        joined = responses.with_columns(
            response=of_responses["embedding"], error=of_responses["error"]
        ).join(embedded, on="prompt_id", how="left", maintain_order="left")
        joined = joined.with_columns(error=pl.coalesce("error", self._explain_length()))
        usable = joined.filter(
            pl.col("response", "prompt").is_not_null(), pl.col("error").is_null()
        )
        # Without rows the matrix has no width and fits no head.
        reward = pl.Series(dtype=pl.Float64)
        if usable.height:
            vectors = matrix(usable["prompt"]), matrix(usable["response"])
            features = self.head.build_features(*vectors, usable["text"])
            reward = pl.Series(self.head.compute_rewards(features))
        rewards = joined.select("response_id", unscored=pl.coalesce("error", "prompt_error")).join(
            usable.select("response_id").with_columns(reward=reward), on="response_id", how="left"
        )
        return from_rewards(self.name, candidates.comparisons, rewards)
