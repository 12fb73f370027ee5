"""The settings of a served model, what of them changes its answers, and the key."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from prefdata.engines.config import ModelParams
from prefdata.errors import ConfigError, ModelError
from prefdata.hashing.fingerprint import fingerprint

_OURS = frozenset(
    "model messages prompt input n best_of stream stream_options echo tools seed stop logprobs "
    "top_logprobs prompt_logprobs logprob_token_ids return_tokens_as_token_ids temperature top_p "
    "max_tokens max_completion_tokens response_format structured_outputs encoding_format".split()
)
_OURS_VLLM = _OURS | {"top_k", "min_p", "repetition_penalty"}


def _base_url(url: str) -> str:
    # An address comes up in errors; a key may not lie in it.
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
    """Seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect: float = Field(10.0, gt=0)
    read: float = Field(
        600.0, gt=0, description="Silence of the server; an answer comes as a whole, when done."
    )
    total: float = Field(1800.0, gt=0)


class ServerOptions(BaseModel):
    """`options` of a model with `engine: openai`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_urls: list[Annotated[str, AfterValidator(_base_url)]] = Field(min_length=1)
    server: Literal["openai", "vllm"] = Field(
        "openai", description="openai: nothing but OpenAI's API; vllm: vLLM's additions to it too."
    )
    api_key_env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The NAME of the environment variable that holds the key.",
    )
    concurrency: int = Field(64, gt=0, description="Requests in flight, over all addresses.")
    timeout_seconds: Timeouts = Timeouts()
    max_retries: int = Field(6, ge=0, description="How often one request is sent again.")
    wait_seconds: float = Field(
        60.0, ge=0, description="How long to wait for a server to come back when all are gone."
    )
    logprobs: bool = Field(
        True, description="false for a server without log-probs: cumulative_logprob is null then."
    )
    top_logprobs: int = Field(
        20, gt=1, description="Among how many tokens `choose` looks for its options (openai)."
    )
    send_seed: bool = Field(True, description="false for a server that refuses `seed`.")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    embed_batch: int = Field(32, gt=0, description="Texts a request of `embed`.")
    end_of_turn: str | None = Field(
        None, description="The end-of-turn token; found from the chat template where not given."
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Sent with every request; part of the fingerprint."
    )


def check_extra_body(name: str, options: ServerOptions) -> None:
    """Refuse what prefdata sets itself: the answers would not be those that were asked for."""
    ours = _OURS_VLLM if options.server == "vllm" else _OURS
    taken = sorted(ours & options.extra_body.keys())
    if taken:
        raise ConfigError(
            f"models.{name}.options.extra_body: {', '.join(taken)} can't be set here",
            "prefdata sets it from the stage's own settings (generate.temperature, …).",
        )


def server_fingerprint(params: ModelParams, options: ServerOptions) -> str:
    """32 hex characters over what changes the answers, as far as that can be known.

    The weights can't be seen from here. `model` and `revision`, a label of the user's own, stand
    for them: serve other weights under the same name and the memo answers for the old ones.
    """
    said = {"server", "logprobs", "send_seed", "end_of_turn", "extra_body"}
    return fingerprint(
        ModelParams(
            engine="openai",
            model=params.model,
            revision=params.revision,
            options=options.model_dump(include=said),
        )
    )


def read_key(name: str, options: ServerOptions) -> SecretStr | None:
    """The key from the environment. No message holds the variable's name or value: a key that
    was put in the name's place would be in it."""
    if options.api_key_env is None:
        return None
    key = os.environ.get(options.api_key_env, "").strip()
    where = f"the environment variable that models.{name}.options.api_key_env names"
    if not key:
        raise ModelError(f"{where} is not set", "Set it to the key; the name alone goes there.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ModelError(
            f"{where} holds characters that no key has (blanks, line ends, beyond ASCII)",
            "Set it to the key alone.",
        )
    return SecretStr(key)
