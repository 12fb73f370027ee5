"""The vLLM engine: continuous batching in this process, on GPUs or vLLM's CPU build.

A model is loaded for one of three things, which `options.runner` names: `generate` (also score and
choose), `hidden_sums` or `embed`. Where a run needs two of them, params.yaml has two models with
the same `model`:

    models:
      policy: {engine: vllm, model: MODEL, options: {gpu_memory_utilization: 0.45}}
      policy_states:
        engine: vllm
        model: MODEL
        options: {runner: hidden_sums, gpu_memory_utilization: 0.45}
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from prefdata.engines import chat
from prefdata.engines.base import (
    Engine,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
    request_key_seed,
    results,
)
from prefdata.engines.config import ModelParams
from prefdata.engines.vllm import api as vllm_api
from prefdata.engines.vllm import reaper
from prefdata.engines.vllm import start as vllm_start
from prefdata.engines.vllm.loop import Loop, Request
from prefdata.engines.vllm.options import (
    Runner,
    VllmOptions,
    check_options,
    vllm_fingerprint,
)
from prefdata.errors import ModelError
from prefdata.parts.validation import validate

RUNNER: dict[Operation, Runner] = {
    "generate": "generate",
    "loglikelihood": "generate",
    "choose": "generate",
    "embed": "embed",
    "hidden_sums": "hidden_sums",
}


MAX_TEMPERATURE = 2.0
NO_SCORES = (
    "vLLM does not give the log-probs of a given text with a LoRA adapter on; merge the adapter "
    "into the model (peft's `merge_and_unload`) and name the result"
)
"""Its CPU build stops working where it is asked for them (vLLM 0.32)."""


class VllmEngine(Engine):
    """See the module."""

    structures = frozenset({"json_schema", "regex", "choice"})
    concurrent = True

    def __init__(self, name: str, params: ModelParams) -> None:
        self.name = name
        self.params = params
        self.options = validate(VllmOptions, params.options, f"models.{name}.options")
        check_options(name, params, self.options)
        vllm_start.check_installed(name)
        vllm_start.check_arguments(name, self.options)
        self.fingerprint = vllm_fingerprint(name, params, self.options)
        self.tokenizer: Any = None
        self.loop: Loop | None = None
        self.max_length = 0
        self._reaper: subprocess.Popen[bytes] | None = None
        self._starting = threading.RLock()

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        needed = RUNNER.get(operation)
        if needed is not None and self.options.runner != needed:
            return (
                f"vLLM loads a model for one thing, and this one is loaded with options.runner "
                f"{self.options.runner}; {operation} needs a model with options.runner {needed} "
                "(the same `model` may stand twice under `models`)"
            )
        if self.options.lora is not None and operation == "loglikelihood":
            return NO_SCORES
        if isinstance(settings, Sampling) and settings.temperature > MAX_TEMPERATURE:
            return f"vLLM takes temperatures up to {MAX_TEMPERATURE:g}"
        return super().refusal(operation, settings) or vllm_start.missing_device()

    def start(self) -> None:
        with self._starting:
            if self.loop is not None:
                return
            try:
                self.tokenizer = self._tokenizer()
            except (OSError, ValueError, KeyError) as error:
                raise ModelError(
                    f"models.{self.name}: {self.params.model} has no tokenizer that can be loaded: "
                    f"{error}",
                    "Check `model` and `revision`; a folder must hold the tokenizer too.",
                ) from error
            if vllm_start.own_process(self.options):
                self._reaper = reaper.watch()
            try:
                make = partial(vllm_api.VllmCore, self.name, self.params, self.options)
                self.loop = Loop(make, self.stopping)
            except BaseException:
                self.close()
                raise
            self.max_length = self.loop.core.max_length

    def _tokenizer(self) -> Any:
        if self.options.runner == "embed":
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(self.params.model, revision=self.params.revision)
        return chat.load_tokenizer(self.name, self.params)

    def close(self) -> None:
        with self._starting:
            loop, self.loop = self.loop, None
            watching, self._reaper = self._reaper, None
            try:
                if loop is not None:
                    loop.close()
            finally:
                if watching is not None:
                    watching.terminate()
                    watching.wait()

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        self.start()
        prompts, keys = chat.Prompts(self.tokenizer, rows), rows["key"].to_list()
        asked = [len(prompt) for prompt in prompts.ids]
        # At least one token of a response has to fit.
        fits, errors = chat.sorted_out(
            "generate", rows, prompts, asked, self.max_length, self.max_length - 1
        )
        yield from errors

        def params(i: int) -> Any:
            room = min(settings.max_tokens, self.max_length - asked[i])
            return vllm_api.sampling(settings, request_key_seed(keys[i]), room)

        requests = (
            Request(i, prompts.ids[i], partial(params, i)) for i in _together(prompts, fits)
        )
        for done in self._run(requests, keys, "generate"):
            if isinstance(done, pl.DataFrame):
                yield done
                continue
            responses = [output.outputs[0] for _, output in done]
            ids = [list(response.token_ids) for response in responses]
            yield results(
                "generate",
                [keys[i] for i, _ in done],
                text=chat.texts(self.tokenizer, ids, settings.stop),
                n_tokens=[len(each) for each in ids],
                finish_reason=[
                    "length" if response.finish_reason == "length" else "stop"
                    for response in responses
                ],
                cumulative_logprob=[response.cumulative_logprob for response in responses],
                n_prompt_tokens=[asked[i] for i, _ in done],
            )

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        self.start()
        prompts = chat.Prompts(self.tokenizer, rows)
        responses = chat.responses(self.tokenizer, rows)
        keys, lengths = rows["key"].to_list(), _lengths(prompts.ids, responses)
        fits, errors = chat.sorted_out("loglikelihood", rows, prompts, lengths, self.max_length)
        yield from errors
        pairs = [(i, prompts.ids[i], responses[i]) for i in fits]
        for done in self._logprobs(pairs, keys, "loglikelihood"):
            if isinstance(done, pl.DataFrame):
                yield done
                continue
            yield results(
                "loglikelihood",
                [keys[i] for i, _ in done],
                logprob=[float(sum(each)) for _, each in done],
                n_tokens=[len(each) for _, each in done],
                token_logprobs=[each if settings.per_token else None for _, each in done],
                n_prompt_tokens=[lengths[i] for i, _ in done],
            )

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        self.start()
        prompts, keys = chat.Prompts(self.tokenizer, rows), rows["key"].to_list()
        options = [chat.encode(self.tokenizer, option) for option in settings.options]
        longest, total = max(map(len, options)), sum(map(len, options))
        # An option's last token is predicted, not read; and there must be room to predict it.
        lengths = [len(prompt) + longest for prompt in prompts.ids]
        fits, errors = chat.sorted_out("choose", rows, prompts, lengths, self.max_length)
        yield from errors
        firsts = list(dict.fromkeys(option[0] for option in options if option))
        if longest == 1 and all(options) and len(firsts) <= vllm_api.READABLE:
            params = partial(vllm_api.reading, firsts, False)
            requests = (Request(i, prompts.ids[i], params) for i in _together(prompts, fits))
            for done in self._run(requests, keys, "choose"):
                if isinstance(done, pl.DataFrame):
                    yield done
                    continue
                found = [output.outputs[0].logprobs[0] for _, output in done]
                yield results(
                    "choose",
                    [keys[i] for i, _ in done],
                    logprobs=[[each[o[0]].logprob for o in options] for each in found],
                    n_prompt_tokens=[len(prompts.ids[i]) for i, _ in done],
                )
            return
        if self.options.lora is not None:
            said = [f"refused: {NO_SCORES}"] * len(fits)
            yield results("choose", [keys[i] for i in fits], error=said)
            return
        # An option of several tokens: its log p is the sum over them, one reading an option.
        count = len(options)
        pairs = [(i * count + o, prompts.ids[i], options[o]) for i in fits for o in range(count)]
        sums: dict[int, dict[int, float]] = {i: {} for i in fits}
        by_pair = [key for key in keys for _ in options]
        failed: set[bytes] = set()
        for done in self._logprobs(pairs, by_pair, "choose"):
            if isinstance(done, pl.DataFrame):
                # One option that fails is enough: there is nothing to weigh it against.
                new = done.unique("key", keep="first").filter(~pl.col("key").is_in(list(failed)))
                failed.update(new["key"])
                yield new
                continue
            for pair, each in done:
                sums[pair // count][pair % count] = float(sum(each))
            whole = list(dict.fromkeys(pair // count for pair, _ in done))
            whole = [i for i in whole if len(sums[i]) == count]
            yield results(
                "choose",
                [keys[i] for i in whole],
                logprobs=[[sums[i][o] for o in range(count)] for i in whole],
                n_prompt_tokens=[count * len(prompts.ids[i]) + total for i in whole],
            )

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        self.start()
        prompts = chat.Prompts(self.tokenizer, rows)
        responses, keys = chat.responses(self.tokenizer, rows), rows["key"].to_list()
        for row, response in enumerate(responses):
            if not response:
                prompts.errors.setdefault(row, "refused: an empty response has no hidden states")
        # The last token of the response predicts nothing in it: it need not be run at all.
        sequences = [p + a[:-1] for p, a in zip(prompts.ids, responses, strict=True)]
        lengths = [len(sequence) for sequence in sequences]
        fits, errors = chat.sorted_out("hidden_sums", rows, prompts, lengths, self.max_length)
        yield from errors
        params = partial(vllm_api.pooling, "token_embed")
        requests = (Request(i, sequences[i], params) for i in fits)
        for done in self._run(requests, keys, "hidden_sums"):
            if isinstance(done, pl.DataFrame):
                yield done
                continue
            states = [vllm_api.vectors(output)[-len(responses[i]) :] for i, output in done]
            sums = [each.sum(0, dtype=np.float64).astype(np.float32) for each in states]
            yield results(
                "hidden_sums",
                [keys[i] for i, _ in done],
                hidden_sum=np.stack(sums),
                last_hidden=np.stack([each[-1] for each in states]),
                n_tokens=[len(responses[i]) for i, _ in done],
                n_prompt_tokens=[len(prompts.ids[i]) + len(responses[i]) for i, _ in done],
            )

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        self.start()
        keys, texts = rows["key"].to_list(), rows["text"].to_list()
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_length)["input_ids"]
        params = partial(vllm_api.pooling, "embed")
        requests = (Request(i, each, params) for i, each in enumerate(ids))
        for done in self._run(requests, keys, "embed"):
            if isinstance(done, pl.DataFrame):
                yield done
                continue
            vectors = np.stack([vllm_api.vectors(output) for _, output in done])
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            read = [len(ids[i]) for i, _ in done]
            yield results(
                "embed", [keys[i] for i, _ in done], embedding=vectors, n_prompt_tokens=read
            )

    def _logprobs(
        self, pairs: list[tuple[int, list[int], list[int]]], keys: list[bytes], operation: Operation
    ) -> Iterator[list[tuple[int, list[float]]] | pl.DataFrame]:
        """`pairs` are (number, prompt, response); (number, log p of each of the response's tokens), or
        a frame of errors."""
        responses = {number: response for number, _, response in pairs}
        empty = [(number, list[float]()) for number, response in responses.items() if not response]
        if empty:
            yield empty
        # The last token is asked for as the next one: so it need not be run, and a sequence may
        # be as long as the model takes, although vLLM always wants to put one more after it.
        requests = (
            Request(n, prompt + a[:-1], partial(vllm_api.reading, a[-1:], len(a) > 1))
            for n, prompt, a in pairs
            if a
        )
        for done in self._run(requests, keys, operation):
            if isinstance(done, pl.DataFrame):
                yield done
            else:
                yield [(n, vllm_api.response_logprobs(output, responses[n])) for n, output in done]

    def _run(
        self, requests: Iterable[Request], keys: list[bytes], operation: Operation
    ) -> Iterator[list[tuple[int, Any]] | pl.DataFrame]:
        """(row, vLLM's output) of what finished, about every second; a frame of errors for what
        failed."""
        assert self.loop is not None
        for finished in self.loop.ask(requests):
            said = [each.error or vllm_api.cut_off(each.output) for each in finished]
            both = list(zip(finished, said, strict=True))
            good = [(each.row, each.output) for each, error in both if error is None]
            bad = [(keys[each.row], error) for each, error in both if error is not None]
            if good:
                yield good
            if bad:
                yield results(operation, [k for k, _ in bad], error=[e for _, e in bad])


def _together(prompts: chat.Prompts, rows: list[int]) -> list[int]:
    """`rows`, those of a prompt one after the other: the first one's prefill serves them all."""
    first: dict[int, int] = {}
    for i in rows:
        # Equal prompts share one list.
        first.setdefault(id(prompts.ids[i]), i)
    return sorted(rows, key=lambda i: first[id(prompts.ids[i])])


def _lengths(prompts: list[list[int]], responses: list[list[int]]) -> list[int]:
    return [len(p) + len(a) for p, a in zip(prompts, responses, strict=True)]
