"""What params.yaml says of a model: what all engines share. Each engine narrows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_ENGINE = "transformers"
"""The engine of a model that names none."""


class PricesParams(BaseModel):
    """What a model's tokens cost. Part of figures alone, of no key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_per_million: float = Field(0.0, ge=0, description="Tokens that the model reads.")
    output_per_million: float = Field(0.0, ge=0, description="Tokens that it generates.")
    currency: str = Field("USD", min_length=1, description="Of both prices.")

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The price of so many tokens, in `currency`."""
        money = tokens_in * self.input_per_million + tokens_out * self.output_per_million
        return round(money / 1e6, 6)


class EngineOptions(BaseModel):
    """An engine's own settings. This one has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _require_engine(schema: dict[str, Any]) -> None:
    """In JSON Schema, only the default engine goes without its name."""
    if schema["properties"]["engine"].get("const") != DEFAULT_ENGINE:
        schema["required"] = ["engine", *schema.get("required", [])]


class ModelConfig(BaseModel):
    """A model and the engine that runs it.

    An engine's configuration narrows `engine` to its own name, `options` to its own settings, and
    names its class, which is imported when a model is first asked for:

        class EchoConfig(ModelConfig):
            engine: Literal["echo"] = "echo"
            options: EchoOptions = EchoOptions()

            engine_class = "my_package.echo:EchoEngine"

    `examples` of a setting hold another value of it; the tests of all engines change each setting
    to that.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=_require_engine, defer_build=True
    )

    engine: str = Field(description="What runs the model.")
    model: str = Field(description="Hugging Face id or local folder.", examples=["another/model"])
    revision: str | None = Field(
        None, description="Branch, tag or commit on the Hugging Face hub.", examples=["v2"]
    )
    dtype: str = Field(
        "auto", description="auto, float32, bfloat16 or float16.", examples=["bfloat16"]
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps …", examples=["cuda:1"])
    max_batch_tokens: int = Field(
        16_384, gt=0, description="Tokens of a forward pass, padding included."
    )
    max_batch_rows: int = Field(128, gt=0, description="Sequences generated at once.")
    options: EngineOptions = Field(EngineOptions(), description="The engine's own settings.")
    prices: PricesParams | None = Field(
        None,
        description="For the summary and the manifest.",
        examples=[{"input_per_million": 7.0}],
    )

    kind: ClassVar[str]
    """The engine's name in params.yaml, set from the default of `engine`."""
    engine_class: ClassVar[str]
    """Where the engine's class lies: "package.module:Class"."""

    example: ClassVar[Mapping[str, Any]] = {"model": "a/model"}
    """Settings that make a valid configuration. For tests and the docs."""
    asks_again: ClassVar[frozenset[str]] = frozenset({"model", "revision", "dtype"})
    """Settings whose change asks the model anew, `options` by their dotted names: they are part of
    its fingerprint. A change of any other setting costs no model call."""

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        super().__pydantic_init_subclass__(**arguments)
        default = cls.model_fields["engine"].default
        if isinstance(default, str):
            cls.kind = default
