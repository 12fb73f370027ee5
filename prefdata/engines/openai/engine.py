"""The openai engine: a model behind any server that speaks OpenAI's API.

    models:
      policy:
        engine: openai
        model: Qwen/Qwen2.5-7B-Instruct          # the name under which it is served
        revision: 2024-09                        # a label of your own for the weights behind it
        options:
          base_urls: [http://gpu1:8000/v1, http://gpu2:8000/v1]
          server: vllm
          api_key_env: SERVER_KEY                # the variable's name, never the key

config.py has all options. With `server: openai` (the default) only OpenAI's API is used, which any
server has: generate, choose among the likeliest tokens, and embed. `server: vllm` adds
loglikelihood, choose among any options, top_k, and structures by regex and choice. Log-probs are
the server's. vLLM with its default `--logprobs-mode raw_logprobs` gives those that `generate`
defines: at temperature 1 and before top-k and top-p.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from prefdata.engines.base import (
    Engine,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
)
from prefdata.engines.call_formats import choose_call_format
from prefdata.engines.control_tokens import warn_of_control_tokens
from prefdata.engines.marks import AT_START, read_marks
from prefdata.engines.openai.config import OpenAIConfig, fingerprint_served, read_key
from prefdata.errors import ModelError
from prefdata.messages.marks import Marks
from prefdata.messages.tool_calls import CallFormat

if TYPE_CHECKING:
    from prefdata.engines.openai.clients.base import Client
    from prefdata.engines.openai.pool import Pool
    from prefdata.engines.openai.thread import LoopThread

_VLLM = "; where the server is vLLM, set options.server: vllm"


class OpenAIEngine(Engine):
    """A model behind servers. All calls of one engine share its pool of connections."""

    structures = frozenset({"json_schema", "regex", "choice"})
    concurrent = True

    def __init__(self, name: str, config: OpenAIConfig) -> None:
        self.name = name
        self.config = config
        self.options = config.options
        self.fingerprint = fingerprint_served(config)
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._thread: LoopThread | None = None
        self._pool: Pool | None = None
        self._warned = False

    def capabilities(self) -> frozenset[Operation]:
        unable: set[Operation] = set() if self.options.server == "vllm" else {"loglikelihood"}
        return super().capabilities() - (
            unable if self.options.logprobs else {"choose", "loglikelihood"}
        )

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        vllm = self.options.server == "vllm"
        if operation == "loglikelihood" and not vllm:
            return f"OpenAI's API gives no log-probs of a given response{_VLLM}"
        if operation in ("choose", "loglikelihood") and not self.options.logprobs:
            return f"it can't {operation} with options.logprobs: false"
        if isinstance(settings, Sampling) and not vllm:
            if settings.top_k:
                return f"OpenAI's API has no top_k (set it to 0){_VLLM}"
            if settings.structure and settings.structure.json_schema is None:
                return f"OpenAI's API holds responses to a json_schema alone{_VLLM}"
        return super().refusal(operation, settings)

    def describe_encoding(self, operation: Operation, rows: pl.DataFrame) -> None:
        if not self._warned:
            self._warned = warn_of_control_tokens(self.name, rows)

    def call_format(self) -> CallFormat | None:
        return choose_call_format(self.config, None)

    def check(self) -> None:
        read_key(self.name, self.options)

    def start(self) -> None:
        with self._lock:
            if self._pool is not None and not self._pool.is_given_up:
                return
            try:
                if self._pool is None:
                    self._open()
                assert self._pool is not None
                assert self._thread is not None
                self._thread.submit(self._pool.check()).result()
            except BaseException:
                self._close()
                raise

    def _open(self) -> None:
        try:
            from prefdata.engines.openai.pool import Pool
            from prefdata.engines.openai.thread import LoopThread
        except ImportError as error:
            raise ModelError(
                f"model {self.name}: {error}", "Install the extra: pip install prefdata[server]"
            ) from error
        key = read_key(self.name, self.options)
        # A worker process of a runner may end without closing its engines.
        atexit.register(self.close)
        self._thread = LoopThread(f"requests to {self.name}")

        async def make_pool() -> Pool:
            return Pool(self.name, self.config.model, self.options, key)

        self._pool = self._thread.submit(make_pool()).result()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        pool, self._pool = self._pool, None
        thread, self._thread = self._thread, None
        if thread is not None:
            atexit.unregister(self.close)
            thread.finish()
            if pool is not None:
                thread.submit(pool.close()).result()
            thread.close()

    def list_formats(self, settings: Sampling) -> Sequence[Marks]:
        named = read_marks(self.config)
        return AT_START if named is None else named

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        from prefdata.engines.openai.clients.generate import GenerateClient

        return self._call(GenerateClient, settings, rows)

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        from prefdata.engines.openai.clients.choose import ChooseClient

        return self._call(ChooseClient, settings, rows)

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        from prefdata.engines.openai.clients.loglikelihood import LoglikelihoodClient

        return self._call(LoglikelihoodClient, settings, rows)

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        from prefdata.engines.openai.clients.embed import EmbedClient

        return self._call(EmbedClient, settings, rows)

    def _call(
        self, kind: type[Client], settings: Settings, rows: pl.DataFrame
    ) -> Iterator[pl.DataFrame]:
        from prefdata.engines.openai.calls import EngineCall

        self.require(kind.operation, settings)
        assert self._pool is not None
        assert self._thread is not None
        client = kind(self.config, settings, rows)
        call = EngineCall(
            self._pool, client, self.options.max_retries, self._count_retry, self.stopping
        )
        return call.stream(self._thread)

    def _count_retry(self) -> None:
        with self._counting:
            self.retries += 1

    def take_retries(self) -> int:
        # Counted in the loop's thread, taken by the threads that call the engine.
        with self._counting:
            return super().take_retries()
