"""Loglikelihood: vLLM's log-probabilities of a prompt that ends with the response."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import orjson

from prefdata.engines.base import LoglikelihoodSettings, Operation
from prefdata.engines.completions import count_common, select_part
from prefdata.engines.openai.clients.base import HELLO, Client, Post, Row, Unit
from prefdata.engines.openai.faults import Fault
from prefdata.messages.layout import NO_THOUGHTS, Refused, find_layout

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
        (key,), row = unit.keys, self.name_content(unit)
        prompt = await self._tokenize_prompt(row, post)
        if row["thoughts"] is None and not row["tool_calls"]:
            if self.settings.part == "thoughts":
                raise Fault("refused", NO_THOUGHTS, own=True)
            tokens = await self.tokenize(row["completion"], post)
            tokens += self.end if row["finished"] else []
        else:
            try:
                prompt, tokens = await self._tokenize_message(row, prompt, post)
            except Refused as refusal:
                raise Fault("refused", str(refusal), own=True) from None
        each = await self.fetch_logprobs(prompt, tokens, post) if tokens else []
        per_token = each if self.settings.per_token else None
        read = len(prompt) + len(tokens)
        return [(key, math.fsum(each), len(tokens), per_token, read, None)]

    def make_canary(self) -> Unit:
        return Unit([bytes(16)], [HELLO, "Hello", True])

    async def _tokenize_message(
        self, row: dict[str, Any], prompt: list[int], post: Post
    ) -> tuple[list[int], list[int]]:
        """(context, completion) of a response with thoughts or calls, as `encode_completions` has
        them. Raises Refused."""
        message = {**row, "role": "assistant", "content": row["completion"]}
        turns = [*row["messages"], message]
        ids = await self.tokenize_chat(turns, post, True, row["tools"])
        start = count_common(prompt, ids)
        text = await self.detokenize(ids, post)
        offset = len(await self.detokenize(ids[:start], post)) if start else 0
        ending = await self.detokenize(self.end, post)
        layout = find_layout(text, offset, message, ending)
        if not row["finished"]:
            ids = await self.tokenize(text[: layout.end], post)
            start = count_common(prompt, ids)
        part, border = self.settings.part, start
        if part != "all" and row["thoughts"] is not None:
            before = await self.tokenize(text[: layout.response], post)
            border = max(start, count_common(ids, before))
        return select_part(ids, start, border, part)

    async def _tokenize_prompt(self, row: dict[str, Any], post: Post) -> list[int]:
        messages, tools = row["messages"], row["tools"]
        name = orjson.dumps([messages, tools])
        if name not in self.prompts:
            ids = await self.tokenize_chat(messages, post, tools=tools)
            self.prompts[name] = ids
            if len(self.prompts) > CACHED_PROMPTS:
                self.prompts.popitem(last=False)
            return ids
        return self.prompts[name]
