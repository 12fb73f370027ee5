"""The driver's side: the pool of a run's worker processes, and what they ask of the driver."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from prefdata.errors import AbortError
from prefdata.pipelines.beam.errors import Carried, carry_errors
from prefdata.pipelines.beam.signals import DIED, DRIVER, POOLED
from prefdata.pipelines.workers.link import (
    Asking,
    Done,
    Failed,
    LinkBroken,
    Next,
    Operating,
    Reporting,
    Unloading,
    Work,
    Yielded,
    receive,
    send,
)
from prefdata.tables.packing import pack, unpack

if TYPE_CHECKING:
    from prefdata.pipelines.beam.runtimes import ProcessRuntime

_END_SECONDS = 5.0
_STANDARD_ERROR = 2


class WorkFailed(RuntimeError):
    """A step raised an exception in a worker."""


class WorkerPool:
    """Processes that apply steps to elements, while models stay in this process.

    Each thread of the runner that applies a step waits for one worker, and meanwhile does what the
    worker asks for. Starting the pool takes as long as one process: the others are forked from it
    once it has imported what they need.
    """

    def __init__(self, runtime: ProcessRuntime, workers: int) -> None:
        self.runtime = runtime
        pairs = [socket.socketpair() for _ in range(workers)]
        theirs = [their.fileno() for _, their in pairs]
        environment = {
            **os.environ,
            DRIVER: str(os.getpid()),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # The processes together have one thread for each core.
            "POLARS_MAX_THREADS": "1",
            # Memory that was freed, large pieces too, is kept for the next bucket instead of being
            # cleared anew.
            "_RJEM_MALLOC_CONF": "oversize_threshold:0,dirty_decay_ms:60000,muzzy_decay_ms:60000",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", POOLED, *map(str, theirs)],
            pass_fds=theirs,
            env=environment,
            stdin=subprocess.DEVNULL,
            # Standard output belongs to the command's result.
            stdout=_STANDARD_ERROR,
        )
        for _, their in pairs:
            their.close()
        self._connections = [Connection(own.detach()) for own, _ in pairs]
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for connection in self._connections:
            self._free.put(connection)

    def apply(self, step: bytes, element: Any, side_inputs: Mapping[str, Any]) -> list[Any]:
        """What the pickled step yields for the element.

        All of it at once: the runner applies the next step in this thread, which would wait for a
        second worker while it holds the first.

        Raises:
            WorkFailed: What the step raised, as text that may carry a prefdata error.
            AbortError: The worker died.
        """
        with self._borrow() as connection:
            send(connection, Work(step, element, dict(side_inputs)))
            results = []
            while not isinstance(message := self._listen(connection), Done):
                if isinstance(message, Failed):
                    raise WorkFailed(message.text)
                results.append(message.result)
            return results

    def _listen(self, connection: Connection) -> Any:
        """The next message that is part of the work; all others are attended to."""
        while True:
            match receive(connection):
                case Asking() as asking:
                    self._reply(connection, lambda: self._look_up(asking))
                case Operating() as operating:
                    self._reply(connection, lambda: self._operate(operating))
                case Reporting(method, arguments):
                    getattr(self.runtime.progress, method)(*arguments)
                case Unloading(models):
                    self.runtime.unload(models)
                case message:
                    return message

    @contextmanager
    def _borrow(self) -> Iterator[Connection]:
        """A connection to a worker that is free."""
        connection = self._free.get()
        try:
            yield connection
        except LinkBroken as error:
            connection.close()
            raise AbortError(*DIED) from error
        except BaseException as error:
            # Its worker may still be in the middle of the work.
            if not isinstance(error, WorkFailed):
                connection.close()
            raise
        finally:
            self._free.put(connection)

    def _reply(self, connection: Connection, answer: Callable[[], Iterator[Any]]) -> None:
        """Send what is answered; an exception is raised in the worker, where it asked."""
        stopping = self.runtime.stopping
        try:
            with carry_errors(stopping):
                for message in answer():
                    send(connection, message)
                    if not isinstance(message, Done):
                        assert isinstance(self._listen(connection), Next)
        except Carried as error:
            send(connection, Failed(str(error)))

    def _look_up(self, asked: Asking) -> Iterator[Any]:
        found = getattr(self.runtime.engines[asked.model], asked.name)
        yield Yielded(found if asked.arguments is None else found(*asked.arguments))
        yield Done()

    def _operate(self, asked: Operating) -> Iterator[Any]:
        """Run an operation as `Inference` does in one process."""
        engine = self.runtime.engines[asked.model]
        with self.runtime.work_with(asked.model, engine):
            for frame in getattr(engine, asked.operation)(unpack(asked.rows), asked.settings):
                yield Yielded(pack(frame, "uncompressed"))
            retries = engine.take_retries()
        yield Done(retries, self.runtime.stopping.is_set())

    def close(self) -> None:
        """End the workers."""
        for connection in self._connections:
            connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._process.kill()
        self._process.wait()
