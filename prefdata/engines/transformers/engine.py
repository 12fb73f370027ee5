"""The transformers engine: any causal language model, on CPU, CUDA or MPS."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl

from prefdata.engines import chat
from prefdata.engines.base import (
    LoglikelihoodSettings,
    Options,
    Sampling,
    Settings,
    request_key_seed,
    results,
)
from prefdata.engines.config import ModelParams
from prefdata.engines.transformers.loading import load
from prefdata.engines.transformers.local import LocalEngine

if TYPE_CHECKING:
    from prefdata.engines.transformers.hidden import HiddenSums
    from prefdata.engines.transformers.pieces import Grace

Result = TypeVar("Result")


class TransformersEngine(LocalEngine):
    """See the module."""

    def __init__(self, name: str, params: ModelParams) -> None:
        super().__init__(name, params)
        self.remedy = (
            f"Name a device with more memory or a smaller dtype in models.{name}, or lower "
            "generate.max_tokens or ingest.max_prompt_chars."
        )
        self.ends: set[int] = set()
        self.hidden: HiddenSums | None = None

    def start(self) -> None:
        if self.model is not None:
            return
        model, tokenizer = load(self.name, self.params)
        ends = model.generation_config.eos_token_id
        named = [*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id]
        self.ends = {end for end in named if end is not None}
        self.hold(model, tokenizer)

    def close(self) -> None:
        # It holds the model too.
        self.hidden = None
        super().close()

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        from prefdata.engines.transformers.decoding import sample

        prompts = chat.Prompts(self.tokenizer, rows)
        ids, keys = prompts.ids, rows["key"].to_list()
        asked = [len(prompt) for prompt in ids]
        # At least one token of a response has to fit.
        fits, errors = chat.sorted_out(
            "generate", rows, prompts, asked, self.max_length, self.max_length - 1
        )
        yield from errors

        def work(some: Sequence[int], grace: Grace) -> list[Any]:
            order = {p: n for n, p in enumerate(dict.fromkeys(tuple(ids[i]) for i in some))}
            return sample(
                self.model,
                [list(p) for p in order],
                [order[tuple(ids[i])] for i in some],
                [min(settings.max_tokens, self.max_length - asked[i]) for i in some],
                [request_key_seed(keys[i]) for i in some],
                settings,
                self.ends,
                self._pad(),
                self.tokenizer.decode,
                grace,
            )

        # By prompt first, so that all samples of a prompt share a batch and its prefill.
        groups = [array("q", ids[i]).tobytes() + keys[i] for i in range(len(keys))]
        lengths = [length + settings.max_tokens for length in asked]
        most = self.params.max_batch_rows
        for picked, found in self.run("generate", fits, lengths, groups, most, work):
            yield results(
                "generate",
                [keys[i] for i in picked],
                text=chat.texts(self.tokenizer, [a.ids for a in found], settings.stop),
                n_tokens=[len(a.ids) for a in found],
                finish_reason=[a.finish_reason for a in found],
                cumulative_logprob=[a.logprob for a in found],
                n_prompt_tokens=[asked[i] for i in picked],
            )

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        from prefdata.engines.transformers.forward import response_logprobs

        prompts = chat.Prompts(self.tokenizer, rows)
        responses = chat.responses(self.tokenizer, rows)
        sequences = [p + a for p, a in zip(prompts.ids, responses, strict=True)]
        keys, lengths = rows["key"].to_list(), [len(s) for s in sequences]
        fits, errors = chat.sorted_out("loglikelihood", rows, prompts, lengths, self.max_length)
        yield from errors

        def work(some: Sequence[int], grace: Grace) -> list[np.ndarray]:
            counts = [len(responses[i]) for i in some]
            return response_logprobs(self.model, [sequences[i] for i in some], counts, self._pad())

        for picked, found in self.run("loglikelihood", fits, lengths, keys, None, work):
            yield results(
                "loglikelihood",
                [keys[i] for i in picked],
                logprob=[float(each.sum()) for each in found],
                n_tokens=[len(each) for each in found],
                token_logprobs=[each.tolist() if settings.per_token else None for each in found],
                n_prompt_tokens=[lengths[i] for i in picked],
            )

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        from prefdata.engines.transformers.forward import next_logprobs, response_logprobs

        options = [chat.encode(self.tokenizer, option) for option in settings.options]
        prompts = chat.Prompts(self.tokenizer, rows)
        longest = max(map(len, options))
        # An option's last token is predicted, not read.
        lengths = [len(p) + longest - 1 for p in prompts.ids]
        fits, errors = chat.sorted_out("choose", rows, prompts, lengths, self.max_length)
        yield from errors

        def work(some: Sequence[int], grace: Grace) -> list[list[float]]:
            asked = [prompts.ids[i] for i in some]
            if longest == 1:
                return next_logprobs(self.model, asked, [o[0] for o in options], self._pad())
            by_option = []
            for option in options:
                grace.check()
                sequences = [prompt + option for prompt in asked]
                counts = [len(option)] * len(asked)
                by_option.append(response_logprobs(self.model, sequences, counts, self._pad()))
            return [[float(each.sum()) for each in row] for row in zip(*by_option, strict=True)]

        keys, count = rows["key"].to_list(), len(options)
        for picked, found in self.run("choose", fits, lengths, keys, None, work):
            tokens = sum(map(len, options)) if longest > 1 else 0
            passes = count if longest > 1 else 1
            yield results(
                "choose",
                [keys[i] for i in picked],
                logprobs=found,
                n_prompt_tokens=[passes * len(prompts.ids[i]) + tokens for i in picked],
            )

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        from prefdata.engines.transformers.hidden import HiddenSums

        prompts = chat.Prompts(self.tokenizer, rows)
        responses = chat.responses(self.tokenizer, rows)
        keys = rows["key"].to_list()
        for row, response in enumerate(responses):
            if not response:
                prompts.errors.setdefault(row, "refused: an empty response has no hidden states")
        # The last token of the response predicts nothing in it: it need not be run at all.
        lengths = [len(p) + len(a) - 1 for p, a in zip(prompts.ids, responses, strict=True)]
        fits, errors = chat.sorted_out("hidden_sums", rows, prompts, lengths, self.max_length)
        yield from errors
        hidden = self.hidden = self.hidden or HiddenSums(self.model, self._pad())

        def asked(some: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
            return [prompts.ids[i] for i in some], [responses[i] for i in some]

        limit = self.params.max_batch_tokens
        for picked, found in self.pieces_of(
            "hidden_sums",
            hidden.batches(prompts.ids, responses, keys, fits, limit),
            lambda some: hidden.size(*asked(some)),
            lambda some, grace: hidden.run(*asked(some)),
        ):
            yield results(
                "hidden_sums",
                [keys[i] for i in picked],
                hidden_sum=np.stack([each for each, _ in found]),
                last_hidden=np.stack([last for _, last in found]),
                n_tokens=[len(responses[i]) for i in picked],
                n_prompt_tokens=[len(prompts.ids[i]) + len(responses[i]) for i in picked],
            )

    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None else self.tokenizer.eos_token_id)
