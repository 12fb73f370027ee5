"""A loaded model and its tokenizer: requests go in, result frames come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from prefdata.engines import chat
from prefdata.engines.base import Operation, results
from prefdata.engines.encoding import Encoder
from prefdata.engines.vllm import api
from prefdata.engines.vllm.config import VllmConfig
from prefdata.engines.vllm.loop import Loop, Request

Outputs = list[tuple[int, Any]]
"""(row, vLLM's output) of requests that finished."""
Logprobs = list[tuple[int, list[float]]]
"""(number, log-probability of each token of its response, in nats)."""


@dataclass(frozen=True)
class LoadedModel:
    """The started engine, as the operations use it. `max_length` is in tokens."""

    encoder: Encoder
    loop: Loop
    max_length: int
    config: VllmConfig

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.encoder.tokenizer

    @property
    def lora(self) -> bool:
        """Whether a LoRA adapter is on."""
        return self.config.options.lora is not None

    def run(
        self,
        operation: Operation,
        keys: list[bytes],
        requests: Iterable[Request],
        make: Callable[[Outputs], pl.DataFrame],
    ) -> Iterator[pl.DataFrame]:
        """Run requests, whose rows are positions in `keys`.

        Yields:
            About every second, the frame that `make` makes of the finished requests, and a frame of
            the errors of failed ones.
        """
        for finished in self.loop.ask(requests):
            errors = [each.error or api.explain_cut_off(each.output) for each in finished]
            both = list(zip(finished, errors, strict=True))
            good = [(each.row, each.output) for each, error in both if error is None]
            bad = [(keys[each.row], error) for each, error in both if error is not None]
            if good:
                yield make(good)
            if bad:
                yield results(operation, [k for k, _ in bad], error=[e for _, e in bad])

    def read_logprobs(
        self,
        operation: Operation,
        keys: list[bytes],
        pairs: list[tuple[int, list[int], list[int]]],
        make: Callable[[Logprobs], pl.DataFrame],
    ) -> Iterator[pl.DataFrame]:
        """Read the log-probabilities of given responses, as `run` does.

        Args:
            pairs: (number, prompt, response) as token ids; numbers are positions in `keys`.
            make: Makes a result frame of the log-probabilities of finished pairs.
        """
        responses = {number: response for number, _, response in pairs}
        empty = [(number, list[float]()) for number, response in responses.items() if not response]
        if empty:
            yield make(empty)
        # The last token is read as the next token. So it is not run, and a sequence may be as long
        # as the model takes, although vLLM always needs room for one more token.
        requests = (
            Request(
                number,
                prompt + tokens[:-1],
                partial(api.make_reading_params, tokens[-1:], len(tokens) > 1),
            )
            for number, prompt, tokens in pairs
            if tokens
        )

        def make_of(outputs: Outputs) -> pl.DataFrame:
            return make([(n, api.take_logprobs(output, responses[n])) for n, output in outputs])

        yield from self.run(operation, keys, requests, make_of)


def group_by_prompt(prompts: chat.Prompts, rows: list[int]) -> list[int]:
    """Sort `rows` so that those of a prompt follow one another: its prefill serves them all."""
    first: dict[int, int] = {}
    for i in rows:
        # Equal prompts share one list.
        first.setdefault(id(prompts.ids[i]), i)
    return sorted(rows, key=lambda i: first[id(prompts.ids[i])])
