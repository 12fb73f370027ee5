"""A response: one sampled answer of one model to one prompt."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from prefdata.records.base import Record


class Response(Record):
    """One row of data/responses."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "sample_index", "response_id")

    response_id: str = Field(description="The content key of the request that made it.")
    prompt_id: str
    sample_index: int = Field(description="0 … n-1 within the prompt.")
    text: str = Field(description="The answer without special tokens.")
    model: str = Field(description="Fingerprint of the model that answered.")
    n_tokens: int = Field(description="Generated tokens, the end-of-turn token included.")
    finish_reason: Literal["stop", "length"] = Field(
        description="stop: the model ended its turn; length: cut off at max_tokens."
    )
    cumulative_logprob: float | None = Field(
        description="Sum over the generated tokens of log p under the model at temperature 1, "
        "nats; null where the model's server gives none."
    )
    mean_token_logprob: float | None = Field(description="cumulative_logprob / n_tokens.")
