"""Loglikelihood: vLLM's log-probabilities of a prompt that ends with the response."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import orjson

from prefdata.engines.base import LoglikelihoodSettings, Operation
from prefdata.engines.openai.clients.base import HELLO, Client, Post, Row, Unit
from prefdata.engines.openai.faults import Fault

CACHED_PROMPTS = 4096
"""The number of prompts whose token ids are cached: a prompt's responses follow one another."""


class LoglikelihoodClient(Client):
    """The log-probability of a given response, token by token."""

    operation: Operation = "loglikelihood"
    settings: LoglikelihoodSettings

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.end: list[int] = []
        self.prompts: OrderedDict[bytes, list[int]] = OrderedDict()

    async def prepare(self, post: Post) -> None:
        """Find the end-of-turn token, which the chat template puts right after a response."""
        if self.options.end_of_turn is not None:
            self.end = await self.tokenize(self.options.end_of_turn, post)
        else:
            response = {"role": "assistant", "content": "Hello"}
            prompt = await self.tokenize_chat(HELLO, post)
            whole = await self.tokenize_chat([*HELLO, response], post, responded=True)
            start = prompt + await self.tokenize("Hello", post)
            self.end = whole[len(start) : len(start) + 1] if whole[: len(start)] == start else []
        if len(self.end) != 1:
            raise Fault(
                "bad_response",
                "the end-of-turn token can't be read off the chat template",
                remedy="Set options.end_of_turn to the one token that ends a turn (<|im_end|> …).",
            )

    async def send(self, unit: Unit, post: Post) -> list[Row]:
        (key,), (messages, completion, finished, *more) = unit.keys, unit.content
        # The columns follow the operation's order, and of the optional ones tools is the first.
        offered = more[0] if "tools" in self.rows.columns else None
        prompt = await self._tokenize_prompt(messages, offered, post)
        tokens = await self.tokenize(completion, post) + (self.end if finished else [])
        each = await self.fetch_logprobs(prompt, tokens, post) if tokens else []
        per_token = each if self.settings.per_token else None
        read = len(prompt) + len(tokens)
        return [(key, math.fsum(each), len(tokens), per_token, read, None)]

    def make_canary(self) -> Unit:
        return Unit([bytes(16)], [HELLO, "Hello", True])

    async def _tokenize_prompt(self, messages: Any, tools: str | None, post: Post) -> list[int]:
        name = orjson.dumps([messages, tools])
        if name not in self.prompts:
            ids = await self.tokenize_chat(messages, post, tools=tools)
            self.prompts[name] = ids
            if len(self.prompts) > CACHED_PROMPTS:
                self.prompts.popitem(last=False)
            return ids
        return self.prompts[name]
