"""A response to a prompt: sampled from a model, or existing, from the prompt's source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from prefdata.records.base import Record


class Response(Record):
    """One row of data/responses."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "sample_index", "response_id")

    response_id: str = Field(
        description="The content key of the request that made it; for an existing response, "
        "the content id of prompt and text."
    )
    prompt_id: str
    sample_index: int | None = Field(
        description="0 … n-1 within the prompt; null: an existing response."
    )
    text: str = Field(description="The response without special tokens.")
    model: str = Field(
        description="Fingerprint of the model; for an existing response, its author or else the "
        "source."
    )
    n_tokens: int | None = Field(
        description="Generated tokens, the end-of-turn token included; null: an existing response."
    )
    finish_reason: Literal["stop", "length"] = Field(
        description="stop: the model ended its turn; length: cut off at max_tokens. An "
        "existing response counts as ended."
    )
    cumulative_logprob: float | None = Field(
        description="Sum over the generated tokens of log p under the model at temperature 1, "
        "nats; null where the model's server gives none."
    )
    mean_token_logprob: float | None = Field(description="cumulative_logprob / n_tokens.")
