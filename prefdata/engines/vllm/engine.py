"""The vLLM engine: continuous batching in this process, on GPUs or vLLM's CPU build.

A model is loaded for one purpose, which `options.runner` names: `generate` (also loglikelihood and
choose), `hidden_sums` or `embed`. If a run needs two of them, params.yaml has two models with the
same `model`:

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
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from importlib.metadata import version

import polars as pl

from prefdata.engines import chat
from prefdata.engines.base import (
    Engine,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
)
from prefdata.engines.call_formats import read_call_format
from prefdata.engines.encoding import Encoder
from prefdata.engines.marks import TemplateMarks
from prefdata.engines.request_encoding import RequestEncoding
from prefdata.engines.vllm import reaper
from prefdata.engines.vllm import start as vllm_start
from prefdata.engines.vllm.choose import NO_LOGPROBS, weigh_options
from prefdata.engines.vllm.config import Runner, VllmConfig, check_adapter, fingerprint_vllm
from prefdata.engines.vllm.engine_core import VllmCore
from prefdata.engines.vllm.generate import compute_loglikelihood, sample_responses
from prefdata.engines.vllm.loaded import LoadedModel
from prefdata.engines.vllm.loop import Loop
from prefdata.engines.vllm.pooled import compute_hidden_sums, embed_texts
from prefdata.engines.vllm.reasoning import ReasoningParser
from prefdata.messages.marks import Marks
from prefdata.messages.tool_calls import CallFormat

RUNNER: dict[Operation, Runner] = {
    "generate": "generate",
    "loglikelihood": "generate",
    "choose": "generate",
    "embed": "embed",
    "hidden_sums": "hidden_sums",
}
MAX_TEMPERATURE = 2.0


class VllmEngine(Engine):
    """A model that vLLM runs in this process."""

    structures = frozenset({"json_schema", "regex", "choice"})
    gives_indicators = True
    concurrent = True

    def __init__(self, name: str, config: VllmConfig) -> None:
        self.name = name
        self.config = config
        self.options = config.options
        check_adapter(name, self.options)
        vllm_start.check_installed(name)
        vllm_start.check_arguments(name, self.options)
        self.fingerprint = fingerprint_vllm(name, config)
        self.marks = TemplateMarks(name, config)
        self.encoding = RequestEncoding(name, config)
        self.model: LoadedModel | None = None
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
            return NO_LOGPROBS
        if isinstance(settings, Sampling) and settings.temperature > MAX_TEMPERATURE:
            return f"vLLM takes temperatures up to {MAX_TEMPERATURE:g}"
        return super().refusal(operation, settings) or vllm_start.explain_missing_device()

    def describe_encoding(self, operation: Operation, rows: pl.DataFrame) -> pl.Series:
        return self.encoding.describe(operation, rows)

    def call_format(self) -> CallFormat | None:
        return read_call_format(self.config)

    def start(self) -> None:
        with self._starting:
            if self.model is not None:
                return
            chatting = self.options.runner != "embed"
            tokenizer = chat.load_tokenizer(self.name, self.config, chat=chatting)
            if vllm_start.uses_own_process(self.options):
                self._reaper = reaper.start_reaper()
            try:
                loop = Loop(partial(VllmCore, self.name, self.config), self.stopping)
            except BaseException:
                self.close()
                raise
            self.model = LoadedModel(Encoder(tokenizer), loop, loop.core.max_length, self.config)

    def close(self) -> None:
        with self._starting:
            model, self.model = self.model, None
            watching, self._reaper = self._reaper, None
            try:
                if model is not None:
                    model.loop.close()
            finally:
                if watching is not None:
                    watching.terminate()
                    watching.wait()

    def describe_versions(self) -> dict[str, str]:
        import vllm
        from vllm.platforms import current_platform

        packages = {name: version(name) for name in ("torch", "transformers")}
        described = {"vllm": vllm.__version__, **packages, "dtype": self.config.dtype}
        # By the platform: torch would start CUDA in this process, which only vLLM's own may. Not
        # every platform can say.
        with suppress(NotImplementedError):
            described["device"] = current_platform.get_device_name()
        return super().describe_versions() | described

    def split_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._get_model().tokenizer
        encoded: list[list[int]] = tokenizer(list(texts), add_special_tokens=False).input_ids
        return encoded

    def list_formats(self, settings: Sampling) -> Sequence[Marks]:
        if self.options.reasoning_parser is not None:
            return self.parser.list_formats(settings)
        return self.marks.list_formats(settings)

    @cached_property
    def parser(self) -> ReasoningParser:
        """The parser that `options.reasoning_parser` names."""
        return ReasoningParser(self.name, self.config)

    def split_thoughts(self, results: pl.DataFrame, settings: Sampling) -> pl.DataFrame:
        if self.options.reasoning_parser is not None:
            return self.parser.split(results, settings)
        return super().split_thoughts(results, settings)

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        formats = self.list_formats(settings)
        yield from sample_responses(self._get_model(), rows, settings, formats)

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        yield from compute_loglikelihood(self._get_model(), rows, settings)

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        yield from weigh_options(self._get_model(), rows, settings)

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        yield from compute_hidden_sums(self._get_model(), rows, settings)

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        yield from embed_texts(self._get_model(), rows)

    def _get_model(self) -> LoadedModel:
        with self._starting:
            self.start()
            assert self.model is not None
            return self.model
