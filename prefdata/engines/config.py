"""What params.yaml says of a model and the engine that runs it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PricesParams(BaseModel):
    """What a model's tokens cost; goes into figures alone, into no key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_per_million: float = Field(0.0, ge=0, description="Tokens that the model reads.")
    output_per_million: float = Field(0.0, ge=0, description="Tokens that it generates.")
    currency: str = Field("USD", min_length=1)

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The money for so many tokens."""
        money = tokens_in * self.input_per_million + tokens_out * self.output_per_million
        return round(money / 1e6, 6)


class ModelParams(BaseModel):
    """A model and the engine that runs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str = Field("transformers", description="A name from prefdata/engines/registry.py.")
    model: str = Field(description="Hugging Face id or local folder.")
    revision: str | None = None
    dtype: str = Field("auto", description="auto, float32, bfloat16 or float16.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps …")
    max_batch_tokens: int = Field(16_384, gt=0, description="Tokens a forward pass, padding in.")
    max_batch_rows: int = Field(128, gt=0, description="Sequences generated at once.")
    options: dict[str, Any] = Field(default_factory=dict, description="The engine's own settings.")
    prices: PricesParams | None = Field(None, description="For the summary and the manifest.")
