"""Settings of a served model, its fingerprint, and its API key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from prefdata.engines.config import EngineOptions, ModelConfig
from prefdata.engines.fingerprint import fingerprint_settings
from prefdata.errors import ConfigError
from prefdata.parts.numbers import NUMBER, JsonObject, Real, Seconds, Whole

_RESERVED = frozenset(
    "model messages prompt input n best_of stream stream_options echo tools seed stop logprobs "
    "top_logprobs prompt_logprobs logprob_token_ids return_tokens_as_token_ids temperature top_p "
    "max_tokens max_completion_tokens response_format structured_outputs encoding_format".split()
)
_RESERVED_VLLM = _RESERVED | {"top_k", "min_p", "repetition_penalty"}

_COUNTING = {"server", "logprobs", "send_seed", "end_of_turn", "extra_body"}
"""Options that change the responses."""

_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


def _check_url(url: str) -> str:
    # Addresses appear in error messages, so they must not contain a key.
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address such as http://localhost:8000/v1 was expected")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an address without user, password or query was expected; a key goes into an "
            "environment variable that api_key_env names"
        )
    return url.rstrip("/")


class Timeouts(BaseModel):
    """Time limits of one request, in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect: Seconds = Field(10.0, description="Until the connection is made.")
    read: Seconds = Field(
        600.0,
        description="Without a byte from the server, which sends a reply only when it is complete.",
    )
    total: Seconds = Field(1800.0, description="Until the whole reply has arrived.")


class OpenAIOptions(EngineOptions):
    """`options` of a model with `engine: openai`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_urls: list[Annotated[str, AfterValidator(_check_url)]] = Field(
        min_length=1,
        description="The servers' addresses, each up to /v1.",
        examples=[["http://elsewhere:8000/v1"]],
    )
    server: Literal["openai", "vllm"] = Field(
        "openai", description="openai: OpenAI's API only; vllm: with vLLM's additions to it."
    )
    api_key_env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The NAME of the environment variable that holds the key.",
        examples=["SERVER_KEY"],
    )
    concurrency: Whole = Field(
        64, gt=0, le=65_536, description="The most requests in flight, over all addresses."
    )
    timeout_seconds: Timeouts = Field(Timeouts(), examples=[{"read": 7.0}])
    max_retries: Whole = Field(6, ge=0, le=1_000, description="How often a request is sent again.")
    max_reply_mib: Annotated[int, Field(gt=0, le=1 << 16), NUMBER] | None = Field(
        None,
        description="The largest reply that is read, in MiB, unpacked; null: 1, and what the "
        "tokens or embeddings that were asked for can take.",
        examples=[64],
    )
    wait_seconds: Real = Field(
        60.0,
        ge=0,
        le=604_800,
        description="How long to wait for a server to return when all are gone.",
    )
    logprobs: bool = Field(
        True, description="false for a server without log-probs; cumulative_logprob is then null."
    )
    top_logprobs: Whole = Field(
        20,
        gt=1,
        le=1_000_000,
        description="The number of likeliest tokens among which `choose` looks for its options "
        "(server: openai).",
    )
    send_seed: bool = Field(True, description="false for a server that refuses `seed`.")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="The server's name for the limit on a response's tokens."
    )
    embed_batch: Whole = Field(32, gt=0, le=100_000, description="Texts per request of `embed`.")
    end_of_turn: str | None = Field(
        None,
        description="The end-of-turn token; null: read off the chat template.",
        examples=["</s>"],
    )
    extra_body: JsonObject = Field(
        default_factory=dict,
        description="Fields sent with every request; part of the fingerprint.",
        examples=[{"reasoning_effort": "low"}],
    )

    @field_validator("extra_body")
    @classmethod
    def _check_extra_body(cls, body: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        vllm = info.data.get("server") == "vllm"
        reserved = sorted((_RESERVED_VLLM if vllm else _RESERVED) & body.keys())
        if reserved:
            raise ValueError(
                f"{', '.join(reserved)} can't be set here: prefdata sets it from the stage's own "
                "settings (generate.temperature, …)"
            )
        if not isinstance(body.get("chat_template_kwargs", {}), dict):
            raise ValueError("chat_template_kwargs: named values were expected")
        return body


class OpenAIConfig(ModelConfig):
    """A model behind a server that speaks OpenAI's API."""

    model_config = ConfigDict(hide_input_in_errors=True)

    engine: Literal["openai"] = "openai"
    model: str = Field(description="The name under which it is served.", examples=["another/model"])
    revision: str | None = Field(
        None, description="A label of your own for the weights behind the name.", examples=["v2"]
    )
    options: OpenAIOptions

    engine_class = "prefdata.engines.openai.engine:OpenAIEngine"
    example: ClassVar[Mapping[str, Any]] = {
        "model": "Qwen/Qwen2.5-7B-Instruct",
        "options": {"base_urls": ["http://localhost:8000/v1"]},
    }
    asks_again = frozenset(
        {"model", "revision", "chat_template_kwargs"} | {f"options.{name}" for name in _COUNTING}
    )


def fingerprint_served(config: OpenAIConfig) -> str:
    """A digest of everything known that changes the responses, as 32 hex characters.

    A server does not show its weights. `model` and `revision`, a label that the user chooses, stand
    for them: if other weights are served under the same name and revision, the memo returns
    responses of the old ones.
    """
    counting = OpenAIConfig(
        model=config.model,
        revision=config.revision,
        options=config.options,
        chat_template_kwargs=config.chat_template_kwargs,
    )
    options = config.options.model_dump(mode="json", include=_COUNTING)
    return fingerprint_settings(counting, options=options)


def read_key(name: str, options: OpenAIOptions) -> SecretStr | None:
    """The API key from the environment, or None if no variable is named.

    Raises ConfigError if the variable holds no key. No message contains its value, nor a name that
    is not written as names of variables are: it may be a key that was put in the wrong place.
    """
    if options.api_key_env is None:
        return None
    key = os.environ.get(options.api_key_env, "").strip()
    where = f"the environment variable that models.{name}.options.api_key_env names"
    if _VARIABLE.fullmatch(options.api_key_env):
        where = (
            f"the environment variable {options.api_key_env} (models.{name}.options.api_key_env)"
        )
    if not key:
        raise ConfigError(f"{where} is not set", "Set it to the key; the name alone goes there.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"{where} holds characters that no key has (blanks, line ends, beyond ASCII)",
            "Set it to the key alone.",
        )
    return SecretStr(key)
