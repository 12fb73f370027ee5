"""What is sent for each operation, and the results made of what comes back."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from prefdata.engines.base import (
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
    request_key_seed,
    result_schema,
)
from prefdata.engines.openai import answers
from prefdata.engines.openai.faults import Fault, bad_response
from prefdata.engines.openai.options import ServerOptions

Post = Callable[[str, bytes], Awaitable[Any]]
Row = tuple[Any, ...]

SLICE = 1024
PROMPTS_KEPT = 4096
"""Prompts whose token ids are kept: the answers to a prompt stand next to each other."""
SEED_MASK = 0x7FFF_FFFF
"""Some servers take seeds of 32 bits, with a sign or without."""
_HELLO = [{"role": "user", "content": "Hello"}]


@dataclass(eq=False)
class Unit:
    """What is sent, and fails, together: one row, or some texts to embed."""

    keys: list[bytes]
    content: list[Any]
    attempts: int = 0
    avoid: object = None


class Ask(ABC):
    """One call of the engine: its requests, and how each is answered."""

    operation: Operation

    def __init__(
        self, model: str, options: ServerOptions, settings: Settings, rows: pl.DataFrame
    ) -> None:
        self.model, self.options, self.settings, self.rows = model, options, settings, rows
        self.vllm = options.server == "vllm"
        self.fixed = {**options.extra_body, "model": model}
        self._width = len(result_schema(self.operation))

    async def prepare(self, post: Post) -> None:
        """What has to be known before the first request."""

    def units(self) -> Iterator[Unit]:
        """The requests, in the rows' order."""
        names = [name for name in self.rows.columns if name not in ("key", "sample_index")]
        for part in self.rows.iter_slices(SLICE):
            for key, *content in part.select("key", *names).rows():
                yield Unit([key], content)

    @abstractmethod
    async def answer(self, unit: Unit, post: Post) -> list[Row]:
        """The result rows, in the schema's order. One attempt; raises Fault."""

    @abstractmethod
    def canary(self) -> Unit:
        """A request with the same settings at which nothing can be wrong but the server."""

    def split(self, unit: Unit) -> list[Unit]:
        """The same, each row alone."""
        return [Unit([k], [c]) for k, c in zip(unit.keys, unit.content, strict=True)]

    def failure(self, key: bytes, error: str) -> Row:
        """The result row of a request that failed."""
        return (key, *[None] * (self._width - 2), error)

    async def _template(self, messages: Any, post: Post, answered: bool = False) -> list[int]:
        """Token ids of a conversation as the server's chat template writes it."""
        body = {"model": self.model, "messages": messages, "add_generation_prompt": not answered}
        for name in ("chat_template", "chat_template_kwargs"):
            if name in self.options.extra_body:
                body[name] = self.options.extra_body[name]
        return answers.token_ids(await post("/tokenize", orjson.dumps(body)))

    async def _tokens(self, text: str, post: Post) -> list[int]:
        if not text:
            return []
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        return answers.token_ids(await post("/tokenize", orjson.dumps(body)))

    async def _logprobs(self, prompt: list[int], tokens: list[int], post: Post) -> list[float]:
        """log p of each of `tokens` after `prompt`."""
        ids = prompt + tokens
        body = {**self.fixed, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0, "n": 1}
        answer = await post("/completions", orjson.dumps(body))
        return answers.prompt_logprobs(answer, ids, len(prompt))


class Generate(Ask):
    """One chat completion a sample, seeded by its key."""

    operation: Operation = "generate"
    settings: Sampling

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        given = self.settings
        self.fixed |= {
            "n": 1,
            "temperature": given.temperature,
            "top_p": given.top_p,
            self.options.max_tokens_field: given.max_tokens,
        }
        if self.options.logprobs:
            self.fixed["logprobs"] = True
        if given.stop:
            self.fixed["stop"] = list(given.stop)
        if self.vllm:
            # What is not said here, vLLM takes from the model's generation_config.json.
            self.fixed |= {"top_k": given.top_k, "min_p": 0.0, "repetition_penalty": 1.0}
        if given.structure:
            self.fixed |= _structure(given)

    async def answer(self, unit: Unit, post: Post) -> list[Row]:
        (key,), (messages,) = unit.keys, unit.content
        body = {**self.fixed, "messages": messages}
        if self.options.send_seed:
            body["seed"] = request_key_seed(key) & SEED_MASK
        answer = await post("/chat/completions", orjson.dumps(body))
        found = answers.generation(answer, self.options.logprobs, exact=self.vllm)
        self._check_structure(found[0], found[2])
        return [(key, *found, None)]

    def canary(self) -> Unit:
        return Unit([bytes(16)], [_HELLO])

    def _check_structure(self, text: str, reason: str) -> None:
        """A server that does not know the field ignores it."""
        structure = self.settings.structure
        if structure is None or reason != "stop":
            return
        if structure.choice and text not in structure.choice:
            raise bad_response(f"{text!r:.40} is none of the choices", lacking=True)
        if structure.json_schema:
            try:
                orjson.loads(text)
            except orjson.JSONDecodeError:
                raise bad_response("the answer is not the JSON asked for", lacking=True) from None


def _structure(settings: Sampling) -> dict[str, Any]:
    structure = settings.structure
    assert structure is not None
    if structure.json_schema is not None:
        schema = {"name": "answer", "schema": orjson.loads(structure.json_schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"structured_outputs": structure.model_dump(exclude_none=True)}


class Choose(Ask):
    """log p of each option as the next token, or tokens.

    vLLM is asked for the options' own token ids and leaves none out. OpenAI's API gives the
    likeliest tokens alone: where an option is not among them, that request fails, for there is no
    number that could stand for it.
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
        self.ids = [await self._tokens(option, post) for option in self.names]
        if all(len(ids) == 1 for ids in self.ids):
            self.names = [f"token_id:{ids[0]}" for ids in self.ids]
            self.next |= {
                "logprob_token_ids": [ids[0] for ids in self.ids],
                "return_tokens_as_token_ids": True,
            }

    async def answer(self, unit: Unit, post: Post) -> list[Row]:
        (key,), (messages,) = unit.keys, unit.content
        if any(len(ids) != 1 for ids in self.ids):
            prompt = await self._template(messages, post)
            each = [math.fsum(await self._logprobs(prompt, ids, post)) for ids in self.ids]
            read = sum(len(prompt) + len(ids) for ids in self.ids)
            return [(key, each, read, None)]
        answer = await post("/chat/completions", orjson.dumps({**self.next, "messages": messages}))
        remedy = _OLD_VLLM if self.vllm else answers.NO_LOGPROBS
        found, n_prompt = answers.top_logprobs(answer, remedy)
        missing = [
            o for o, n in zip(self.settings.options, self.names, strict=True) if n not in found
        ]
        if missing and self.vllm:
            raise bad_response("no log-prob of an option", lacking=True, remedy=remedy)
        if missing:
            raise Fault(
                "bad_response",
                f"no log-prob of {', '.join(map(repr, missing))}: not among the "
                f"{len(found)} likeliest tokens (options.top_logprobs)",
                own=True,
            )
        return [(key, [found[name] for name in self.names], n_prompt, None)]

    def canary(self) -> Unit:
        return Unit([bytes(16)], [_HELLO])


_OLD_VLLM = "Use a vLLM whose chat completions take logprob_token_ids (tested with 0.32)."


class Score(Ask):
    """log p of a given answer: vLLM's log-probs of a prompt that ends with it."""

    operation: Operation = "loglikelihood"
    settings: LoglikelihoodSettings

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.end: list[int] = []
        self.prompts: OrderedDict[bytes, list[int]] = OrderedDict()

    async def prepare(self, post: Post) -> None:
        """Find the end-of-turn token: what the chat template puts right behind an answer."""
        if self.options.end_of_turn is not None:
            self.end = await self._tokens(self.options.end_of_turn, post)
        else:
            answer = {"role": "assistant", "content": "Hello"}
            before = await self._template(_HELLO, post)
            whole = await self._template([*_HELLO, answer], post, answered=True)
            said = before + await self._tokens("Hello", post)
            self.end = whole[len(said) : len(said) + 1] if whole[: len(said)] == said else []
        if len(self.end) != 1:
            raise Fault(
                "bad_response",
                "the end-of-turn token can't be read off the chat template",
                remedy="Set options.end_of_turn to the one token that ends a turn (<|im_end|> …).",
            )

    async def answer(self, unit: Unit, post: Post) -> list[Row]:
        (key,), (messages, completion, finished) = unit.keys, unit.content
        prompt = await self._prompt(messages, post)
        tokens = await self._tokens(completion, post) + (self.end if finished else [])
        each = await self._logprobs(prompt, tokens, post) if tokens else []
        per_token = each if self.settings.per_token else None
        read = len(prompt) + len(tokens)
        return [(key, math.fsum(each), len(tokens), per_token, read, None)]

    def canary(self) -> Unit:
        return Unit([bytes(16)], [_HELLO, "Hello", True])

    async def _prompt(self, messages: Any, post: Post) -> list[int]:
        name = orjson.dumps(messages)
        if name not in self.prompts:
            ids = await self._template(messages, post)
            self.prompts[name] = ids
            if len(self.prompts) > PROMPTS_KEPT:
                self.prompts.popitem(last=False)
            return ids
        return self.prompts[name]


class Embed(Ask):
    """Some texts a request. Where one is refused, each is sent alone."""

    operation: Operation = "embed"

    def units(self) -> Iterator[Unit]:
        for part in self.rows.iter_slices(self.options.embed_batch):
            yield Unit(part["key"].to_list(), part["text"].to_list())

    async def answer(self, unit: Unit, post: Post) -> list[Row]:
        body = {**self.fixed, "input": unit.content, "encoding_format": "float"}
        vectors, n_prompt = answers.embeddings(
            await post("/embeddings", orjson.dumps(body)), len(unit.keys)
        )
        counts = apportioned(n_prompt, [len(text) for text in unit.content])
        return [(*row, None) for row in zip(unit.keys, vectors, counts, strict=True)]

    def canary(self) -> Unit:
        return Unit([bytes(16)], ["Hello"])


def apportioned(total: int, lengths: list[int]) -> list[int]:
    """`total` shared out by length: the server counts the tokens of a whole request alone."""
    ends, whole = [0], max(1, sum(lengths))
    for length in lengths:
        ends.append(ends[-1] + length)
    cuts = [total * end // whole for end in ends[:-1]] + [total]
    return [after - before for before, after in itertools.pairwise(cuts)]
