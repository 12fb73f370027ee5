"""Columns that training reads, of augmented pairs as of the dataset: described once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.base import Record


class Segment(BaseModel):
    """A part of a response with a reward of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int = Field(description="Where it begins in the response's text, in characters from 0.")
    end: int = Field(description="Where it ends: the place of the first character after it.")
    reward: float = Field(description="Its reward, in the unit of what gave it.")


class TrainingColumns(Record):
    """What losses and selections read of a pair, by augmentations and filters."""

    weight: float | None = Field(
        description="Factor of the pair's loss, the product of what the augmentations and filters "
        "that set weights say; null where none does."
    )
    beta_scale: float | None = Field(
        description="Factor of DPO's beta for the pair, by the augmentation dynamic_scale."
    )
    target_margin: float | None = Field(
        description="The distance of implicit rewards that training aims at, half of it on either "
        "side of 0, by the augmentation calibrated."
    )
    policy_logprob_chosen: float | None = Field(
        description="The policy's log-probability of the chosen response in nats, by the "
        "augmentation loglikelihoods."
    )
    policy_logprob_rejected: float | None = Field(
        description="The policy's log-probability of the rejected response."
    )
    reference_logprob_chosen: float | None = Field(
        description="The reference's log-probability of the chosen response."
    )
    reference_logprob_rejected: float | None = Field(
        description="The reference's log-probability of the rejected response."
    )
    implicit_margin: float | None = Field(
        description="beta times the policy's log ratio to the reference, of the chosen response "
        "minus of the rejected one."
    )
    reference_prefers_chosen: bool | None = Field(
        description="Whether the chosen response is the likelier one under the reference; the mean "
        "is the reference's ranking accuracy (arXiv 2405.19534)."
    )
    reference_prefers_chosen_per_token: bool | None = Field(
        description="The same by log-probabilities per token."
    )
    learning_difficulty: float | None = Field(
        description="beta times the reference's log ratio of rejected to chosen: a policy ranks "
        "the pair right where its DPO loss is at most -log sigmoid of it (arXiv 2405.19534)."
    )
    segments_chosen: list[Segment] | None = Field(
        description="Spans of the chosen response with their rewards, by the augmentation segments."
    )
    segments_rejected: list[Segment] | None = Field(
        description="Spans of the rejected response with their rewards."
    )
