"""The section `reward_head` of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from prefdata.parts.numbers import Scale
from prefdata.reward_head.head import FeatureKind


class RewardHeadParams(BaseModel):
    """Training of the linear reward head over frozen embeddings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(
        description="JSONL of preference pairs: prompt, chosen, rejected (messages) and, where "
        "known, source and split; rows with split = heldout only measure.",
        examples=["other.jsonl"],
    )
    model: str = Field("embedder", description="The embedder's name.", examples=["other"])
    features: list[FeatureKind] = Field(
        default=["response", "relevance"],
        min_length=1,
        description="The head's features: the response's embedding, its product with the "
        "prompt's, and surface features of the response.",
        examples=[["response"]],
    )
    control_length: bool = Field(
        False, description="Remove from the reward what length explains.", examples=[True]
    )
    l2: Scale | Literal["auto"] = Field(
        1.0,
        description="Strength of the L2 penalty; auto: by cross-validation over prompts.",
        examples=[10.0],
    )
    out: str = Field(
        "data/reward_head", description="The folder of the head.", examples=["data/other_head"]
    )
