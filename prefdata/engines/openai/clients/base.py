"""The contract of a client, and what the clients share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from prefdata.engines.base import OPERATIONS, Operation, Sampling, Settings, result_schema
from prefdata.engines.marks import merge_arguments
from prefdata.engines.openai.bodies import ID_BYTES, TOKEN_BYTES
from prefdata.engines.openai.config import OpenAIConfig
from prefdata.engines.openai.replies import (
    parse_prompt_logprobs,
    parse_text,
    parse_token_ids,
)
from prefdata.messages.chat_form import parse_tools, to_chat

Post = Callable[[str, bytes, int], Awaitable[Any]]
"""Sends a body to a path of the server and returns the JSON of its reply. The number is the bytes
that a good reply takes at most (bodies.py)."""
Row = tuple[Any, ...]

SLICE = 1024
HELLO = [{"role": "user", "content": "Hello"}]


@dataclass(eq=False)
class Unit:
    """The rows of one HTTP request, which fail together: one row, or several texts to embed."""

    keys: list[bytes]
    content: list[Any]
    attempts: int = 0
    avoid: object = None


class Client(ABC):
    """Talks to a server for one call of the engine: an operation, its settings and its rows."""

    operation: Operation

    def __init__(self, config: OpenAIConfig, settings: Settings, rows: pl.DataFrame) -> None:
        self.model, self.options, self.settings, self.rows = (
            config.model,
            config.options,
            settings,
            rows,
        )
        self.vllm = self.options.server == "vllm"
        called = settings.chat_template_kwargs if isinstance(settings, Sampling) else None
        given: Any = self.options.extra_body.get("chat_template_kwargs", {})
        self.arguments = {**given, **merge_arguments(config, called)}
        self.fixed = {**self.options.extra_body, **_place(self.arguments), "model": config.model}
        self.columns = [n for n in rows.columns if n not in ("key", "sample_index")]
        self._width = len(result_schema(self.operation))

    async def prepare(self, post: Post) -> None:
        """Fetch from the server what is needed before the first request."""

    def list_units(self) -> Iterator[Unit]:
        """The units to send, in the order of the rows."""
        names = self.columns
        for part in self.rows.iter_slices(SLICE):
            for key, *content in part.select("key", *names).rows():
                yield Unit([key], content)

    @abstractmethod
    async def send(self, unit: Unit, post: Post) -> list[Row]:
        """Send a unit, once. Returns its result rows, as tuples in the schema's order; raises
        Fault."""

    @abstractmethod
    def make_canary(self) -> Unit:
        """A harmless unit with the same settings: if it fails, the server is at fault."""

    def split(self, unit: Unit) -> list[Unit]:
        """A unit for each row of this one."""
        return [Unit([k], [c]) for k, c in zip(unit.keys, unit.content, strict=True)]

    def name_content(self, unit: Unit) -> dict[str, Any]:
        """The columns of a unit of one row; those that requests may lack are null there."""
        content = dict(zip(self.columns, unit.content, strict=False))
        return {**dict.fromkeys(OPERATIONS[self.operation].optional), **content}

    def make_failure(self, key: bytes, error: str) -> Row:
        """The result row of a request that failed."""
        return (key, *[None] * (self._width - 2), error)

    async def tokenize_chat(
        self, messages: Any, post: Post, responded: bool = False, tools: str | None = None
    ) -> list[int]:
        """Token ids of a conversation as the server's chat template renders it, up to the start of
        the assistant's turn unless it has `responded`."""
        body = {
            "model": self.model,
            "messages": to_chat(messages, arguments="text"),
            "add_generation_prompt": not responded,
        }
        if tools is not None:
            body["tools"] = parse_tools(tools)
        if "chat_template" in self.options.extra_body:
            body["chat_template"] = self.options.extra_body["chat_template"]
        if self.arguments:
            body["chat_template_kwargs"] = self.arguments
        return await _fetch_ids(body, post)

    async def tokenize(self, text: str, post: Post) -> list[int]:
        """Token ids of a text, without special tokens."""
        if not text:
            return []
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        return await _fetch_ids(body, post)

    async def detokenize(self, ids: list[int], post: Post) -> str:
        """The text of token ids, special tokens included."""
        body = {"model": self.model, "tokens": ids}
        size = len(ids) * TOKEN_BYTES
        return parse_text(await post("/detokenize", orjson.dumps(body), size))

    async def fetch_logprobs(self, prompt: list[int], tokens: list[int], post: Post) -> list[float]:
        """The log-probability of each of `tokens` after `prompt`, in nats."""
        ids = prompt + tokens
        body = {**self.fixed, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0, "n": 1}
        size = len(ids) * TOKEN_BYTES
        reply = await post("/completions", orjson.dumps(body), size)
        return parse_prompt_logprobs(reply, ids, len(prompt))


async def _fetch_ids(body: dict[str, Any], post: Post) -> list[int]:
    content = orjson.dumps(body)
    return parse_token_ids(await post("/tokenize", content, len(content) * ID_BYTES))


def _place(arguments: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request that hold what the chat template gets: `reasoning_effort` has a field
    of its own in OpenAI's API, the others share one that vLLM, SGLang and llama.cpp know."""
    others = {name: value for name, value in arguments.items() if name != "reasoning_effort"}
    fields: dict[str, Any] = {"chat_template_kwargs": others} if others else {}
    if "reasoning_effort" in arguments:
        fields["reasoning_effort"] = arguments["reasoning_effort"]
    return fields
