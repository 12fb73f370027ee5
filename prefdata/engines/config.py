"""The settings of a model in params.yaml that all engines share. Each engine narrows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from prefdata.messages.marks import FormatName
from prefdata.messages.tool_calls import CallFormat
from prefdata.parts.inputs import LicenseId
from prefdata.parts.numbers import Count, JsonObject, Weight

DEFAULT_ENGINE = "transformers"
"""The engine of a model that names none."""


class PricesParams(BaseModel):
    """The price of a model's tokens. Used in reports only; never part of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_per_million: Weight = Field(
        0.0, description="The price of a million tokens that the model reads."
    )
    output_per_million: Weight = Field(
        0.0, description="The price of a million tokens that the model generates."
    )
    currency: str = Field("USD", min_length=1, description="The currency of both prices.")

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The price of these numbers of tokens, in `currency`."""
        money = tokens_in * self.input_per_million + tokens_out * self.output_per_million
        return round(money / 1e6, 6)


class OwnMarks(BaseModel):
    """The texts between which a model writes its thoughts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open: str = Field(min_length=1, description="What stands before the thoughts.")
    close: str = Field(min_length=1, description="What stands after them.")


class EngineOptions(BaseModel):
    """The base of an engine's own settings. It has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _require_engine(schema: dict[str, Any]) -> None:
    """In JSON Schema, `engine` is optional only for the default engine."""
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

    `examples` of a setting hold a value other than its default; the tests of all engines change
    each setting to it.
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
    max_batch_tokens: Count = Field(
        16_384, description="The most tokens in a forward pass, padding included."
    )
    max_batch_rows: Count = Field(128, description="The most sequences generated at once.")
    tool_calls: Literal["auto", "none"] | CallFormat = Field(
        "auto",
        description="How the model writes calls of tools in its text: auto (as its chat template "
        "shows; of a server, the calls that it gives apart), none, or a known format. Another "
        "value asks nothing again.",
        examples=["mistral", "none"],
    )
    thoughts: Literal["auto", "none"] | FormatName | OwnMarks = Field(
        "auto",
        description="The marks between which the model writes its thoughts: auto (those in its "
        "chat template; of a server, the thoughts that it gives apart, or known marks at the very "
        "start), none, a known format, or {open, close}. Another value asks nothing again.",
        examples=["think", "none"],
    )
    chat_template_kwargs: JsonObject = Field(
        {},
        description="What the chat template gets in every call besides messages and tools; part of "
        "the fingerprint.",
        examples=[{"enable_thinking": False}],
    )
    options: EngineOptions = Field(EngineOptions(), description="The engine's own settings.")
    license: LicenseId = Field(
        None,
        description="The model's licence, such as llama3.1: the card names it, and `prefdata "
        "publish` says where it restricts training on the model's output. null: the one that goes "
        "with its name, or on the card in its folder.",
        examples=["apache-2.0"],
    )
    prices: PricesParams | None = Field(
        None,
        description="The prices of the model's tokens, for the summary and the manifest.",
        examples=[{"input_per_million": 7.0}],
    )

    kind: ClassVar[str]
    """The engine's name in params.yaml, set from the default of `engine`."""
    engine_class: ClassVar[str]
    """Where to import the engine's class from: "package.module:Class"."""

    example: ClassVar[Mapping[str, Any]] = {"model": "a/model"}
    """Settings that make a valid configuration. For tests and the docs."""
    asks_again: ClassVar[frozenset[str]] = frozenset(
        {"model", "revision", "dtype", "chat_template_kwargs"}
    )
    """The settings that are part of the fingerprint, `options` by their dotted names: changing one
    makes all model calls again. Changing any other setting costs no model call."""

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        super().__pydantic_init_subclass__(**arguments)
        default = cls.model_fields["engine"].default
        if isinstance(default, str):
            cls.kind = default


class LocalConfig(ModelConfig):
    """The base of the configurations of engines that load a model's files in this process."""

    trust_remote_code: bool = Field(
        False,
        description="Run the Python files that come with the model. They can do whatever you can: "
        "read them first, and pin `revision`. True asks all again.",
    )

    asks_again = ModelConfig.asks_again | {"trust_remote_code"}
