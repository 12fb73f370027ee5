"""A judge that prefers the response with fewer exclamation marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.inference import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards


class LoudnessConfig(JudgeConfig):
    kind: Literal["loudness"] = "loudness"
    per_mark: float = Field(
        1.0, gt=0, description="The cost of each exclamation mark.", examples=[2.0]
    )
    example: ClassVar[Mapping[str, Any]] = {}


class LoudnessJudge(Judge):
    """The reward of a response is minus the number of its exclamation marks, times `per_mark`."""

    config: LoudnessConfig

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        marks = pl.col("text").str.count_matches("!", literal=True).cast(pl.Float64)
        rewards = candidates.responses.select(
            "response_id",
            reward=-self.config.per_mark * marks,
            unscored=pl.lit(None, dtype=pl.String),
        )
        return from_rewards(self.name, candidates.comparisons, rewards)
