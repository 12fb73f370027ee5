"""The worker's side of what only the driver has: a run's models, and its progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from multiprocessing.connection import Connection
from typing import Any

import polars as pl

from prefdata.config.params import Params
from prefdata.engines.base import (
    Engine,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
)
from prefdata.engines.registry import Engines
from prefdata.inference.progress import Progress
from prefdata.inference.usage import Usage
from prefdata.messages.marks import Marks
from prefdata.messages.tool_calls import CallFormat
from prefdata.pipelines.beam.errors import read_carried
from prefdata.pipelines.beam.runtimes import ProcessRuntime
from prefdata.pipelines.workers.link import (
    Asking,
    Done,
    Failed,
    Next,
    Operating,
    Reporting,
    Unloading,
    receive,
    send,
)
from prefdata.tables.packing import pack, unpack


class Driver:
    """The driver, as a worker sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asking = threading.RLock()
        self._sending = threading.Lock()

    def tell(self, message: Any) -> None:
        """Send a message that has no reply, from any thread."""
        with self._sending:
            send(self._connection, message)

    def ask(self, message: Any) -> Iterator[Any]:
        """The results that the driver replies. Raises what the driver raised."""
        with self._asking:
            self.tell(message)
            while True:
                reply = receive(self._connection)
                if isinstance(reply, Failed):
                    error = RuntimeError(reply.text)
                    raise read_carried(error) or error
                yield reply
                if isinstance(reply, Done):
                    return
                self.tell(Next())


class RemoteEngine(Engine):
    """An engine whose model is in the driver."""

    # The driver makes the calls of an engine that is not concurrent one after the other.
    concurrent = True

    def __init__(self, driver: Driver, name: str, stopping: threading.Event) -> None:
        self.driver = driver
        self.name = name
        self.stopping = stopping

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        return self._ask("fingerprint")

    def capabilities(self) -> frozenset[Operation]:
        return self._ask("capabilities", ())

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        return self._ask("refusal", (operation, settings))

    def describe_encoding(self, operation: Operation, rows: pl.DataFrame) -> pl.Series | None:
        return self._ask("describe_encoding", (operation, rows))

    def call_format(self) -> CallFormat | None:
        return self._ask("call_format", ())

    def list_formats(self, settings: Sampling) -> Sequence[Marks]:
        return self._ask("list_formats", (settings,))

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        return self._operate("generate", rows, settings)

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        return self._operate("loglikelihood", rows, settings)

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        return self._operate("choose", rows, settings)

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        return self._operate("embed", rows, settings)

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        return self._operate("hidden_sums", rows, settings)

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        return self._operate("reward", rows, settings)

    def _ask(self, name: str, arguments: tuple[Any, ...] | None = None) -> Any:
        """An attribute of the engine, or what a method of it returns."""
        yielded, _ = self.driver.ask(Asking(self.name, name, arguments))
        return yielded.result

    def _operate(
        self, operation: Operation, rows: pl.DataFrame, settings: Settings
    ) -> Iterator[pl.DataFrame]:
        asked = Operating(self.name, operation, settings, pack(rows, "uncompressed"))
        for reply in self.driver.ask(asked):
            if isinstance(reply, Done):
                self.retries += reply.retries
                if reply.stopping:
                    # Before this process is told to stop, so that no request seems unanswered.
                    self.stopping.set()
            else:
                yield unpack(reply.result)


class RemoteEngines(Mapping[str, Engine]):
    """The models of a run: those that every process may have are here, the others in the driver.

    Args:
        driver: The driver.
        own: The models as this process would make them.
        stopping: The run's event in this process.
    """

    def __init__(self, driver: Driver, own: Engines, stopping: threading.Event) -> None:
        self._driver = driver
        self._own = own
        self._stopping = stopping
        self._made: dict[str, Engine] = {}

    def __getitem__(self, name: str) -> Engine:
        if name not in self._made:
            here = self._own.is_replicable(name)
            self._made[name] = (
                self._own[name] if here else RemoteEngine(self._driver, name, self._stopping)
            )
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


class RemoteProgress(Progress):
    """Progress that the driver shows."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def start_bucket(self, stage: str, call: str, buckets: int) -> None:
        self._driver.tell(Reporting("start_bucket", (stage, call, buckets)))

    def start_call(self, stage: str, call: str, requests: int, cached: int) -> None:
        self._driver.tell(Reporting("start_call", (stage, call, requests, cached)))

    def advance(self, stage: str, call: str, requests: int, usage: Usage) -> None:
        self._driver.tell(Reporting("advance", (stage, call, requests, usage)))

    def note(self, text: str) -> None:
        self._driver.tell(Reporting("note", (text,)))


class RemoteRuntime(ProcessRuntime):
    """The runtime of a run in one of its workers."""

    def __init__(self, driver: Driver, params: Params) -> None:
        super().__init__(params, RemoteProgress(driver))
        self._driver = driver
        self.engines = RemoteEngines(driver, self.own_engines, self.stopping)

    def unload(self, models: Sequence[str]) -> None:
        self._driver.tell(Unloading(list(models)))
