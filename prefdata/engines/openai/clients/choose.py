"""Choose: log-probabilities of options as the next tokens."""

from __future__ import annotations

import math
from typing import Any

import orjson

from prefdata.engines.base import Operation, Options
from prefdata.engines.openai.bodies import TOKEN_BYTES
from prefdata.engines.openai.clients.base import HELLO, Client, Post, Row, Unit
from prefdata.engines.openai.faults import BadReply, Fault
from prefdata.engines.openai.replies import NO_LOGPROBS, parse_top_logprobs
from prefdata.messages.chat_form import to_chat

_OLD_VLLM = "Use a vLLM whose chat completions take logprob_token_ids (tested with 0.32)."


class ChooseClient(Client):
    """The log-probability of each option as the next token, or tokens.

    vLLM is asked for the options' own token ids and returns all of them. OpenAI's API returns only
    the likeliest tokens: if an option is not among them, the request fails, because its
    log-probability is unknown.
    """

    operation: Operation = "choose"
    settings: Options

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.names = list(self.settings.options)
        self.ids: list[list[int]] = []
        self.fixed |= {"n": 1, "temperature": 1.0, "top_p": 1.0}
        self.next = {**self.fixed, self.options.max_tokens_field: 1, "logprobs": True}
        if not self.vllm:
            self.next["top_logprobs"] = self.options.top_logprobs

    async def prepare(self, post: Post) -> None:
        if not self.vllm:
            return
        self.ids = [await self.tokenize(option, post) for option in self.names]
        if all(len(ids) == 1 for ids in self.ids):
            self.names = [f"token_id:{ids[0]}" for ids in self.ids]
            self.next |= {
                "logprob_token_ids": [ids[0] for ids in self.ids],
                "return_tokens_as_token_ids": True,
            }

    async def send(self, unit: Unit, post: Post) -> list[Row]:
        (key,), (messages,) = unit.keys, unit.content
        if any(len(ids) != 1 for ids in self.ids):
            return [(key, *await self._send_each(messages, post), None)]
        body = {**self.next, "messages": to_chat(messages, arguments="text")}
        size = max(len(self.names), self.options.top_logprobs) * TOKEN_BYTES
        reply = await post("/chat/completions", orjson.dumps(body), size)
        remedy = _OLD_VLLM if self.vllm else NO_LOGPROBS
        logprobs, n_prompt = parse_top_logprobs(reply, remedy)
        options = zip(self.settings.options, self.names, strict=True)
        missing = [option for option, name in options if name not in logprobs]
        if missing and self.vllm:
            raise BadReply("no log-prob of an option", lacking=True, remedy=remedy)
        if missing:
            raise Fault(
                "bad_response",
                f"no log-prob of {', '.join(map(repr, missing))}: not among the "
                f"{len(logprobs)} likeliest tokens (options.top_logprobs)",
                own=True,
            )
        return [(key, [logprobs[name] for name in self.names], n_prompt, None)]

    async def _send_each(self, messages: Any, post: Post) -> tuple[list[float], int]:
        """(log-probability of each option, tokens read), for options of several tokens."""
        prompt = await self.tokenize_chat(messages, post)
        each = [math.fsum(await self.fetch_logprobs(prompt, ids, post)) for ids in self.ids]
        return each, sum(len(prompt) + len(ids) for ids in self.ids)

    def make_canary(self) -> Unit:
        return Unit([bytes(16)], [HELLO])
