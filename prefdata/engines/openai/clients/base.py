"""The contract of a client, and what the clients share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from prefdata.engines.base import Operation, Settings, result_schema
from prefdata.engines.openai.config import OpenAIOptions
from prefdata.engines.openai.replies import parse_prompt_logprobs, parse_token_ids
from prefdata.messages.chat_form import parse_tools, to_chat

Post = Callable[[str, bytes], Awaitable[Any]]
"""Sends a body to a path of the server and returns the JSON of its reply."""
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

    def __init__(
        self, model: str, options: OpenAIOptions, settings: Settings, rows: pl.DataFrame
    ) -> None:
        self.model, self.options, self.settings, self.rows = model, options, settings, rows
        self.vllm = options.server == "vllm"
        self.fixed = {**options.extra_body, "model": model}
        self._width = len(result_schema(self.operation))

    async def prepare(self, post: Post) -> None:
        """Fetch from the server what is needed before the first request."""

    def list_units(self) -> Iterator[Unit]:
        """The units to send, in the order of the rows."""
        names = [name for name in self.rows.columns if name not in ("key", "sample_index")]
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
        for name in ("chat_template", "chat_template_kwargs"):
            if name in self.options.extra_body:
                body[name] = self.options.extra_body[name]
        return parse_token_ids(await post("/tokenize", orjson.dumps(body)))

    async def tokenize(self, text: str, post: Post) -> list[int]:
        """Token ids of a text, without special tokens."""
        if not text:
            return []
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        return parse_token_ids(await post("/tokenize", orjson.dumps(body)))

    async def fetch_logprobs(self, prompt: list[int], tokens: list[int], post: Post) -> list[float]:
        """The log-probability of each of `tokens` after `prompt`, in nats."""
        ids = prompt + tokens
        body = {**self.fixed, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0, "n": 1}
        reply = await post("/completions", orjson.dumps(body))
        return parse_prompt_logprobs(reply, ids, len(prompt))
