"""Continuous batching: thousands of requests go in as there is room, results come out as they
finish, and nothing waits for the slowest of a batch.

One thread loads the model and steps it. Any other thread can add its requests to those already
running, and gets its own results back. So buckets that are processed side by side share the batch,
and the end of one leaves no gap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from prefdata.engines.base import GRACE_SECONDS

YIELD_SECONDS = 1.0
"""How often finished results are passed on."""
STOP_SECONDS = GRACE_SECONDS - 2.0
"""How long running requests may take once the run is stopping; the rest of the grace period is for
a last step and the commit."""
AHEAD = 4
"""The most requests in the core, as a multiple of those that run at once: it never has to wait."""


@dataclass(frozen=True)
class Request:
    """Token ids and their parameters; `params` makes them when the request is added to the core."""

    row: int
    ids: list[int]
    params: Callable[[], Any]


@dataclass(frozen=True)
class Finished:
    """A row's output, or its error."""

    row: int
    output: Any
    error: str | None = None


class Core(Protocol):
    """The interface to vLLM that the loop uses."""

    running: int
    """The number of requests that run at once."""

    def add(self, id: str, request: Request) -> str | None:
        """Add a request. Returns the reason if it is refused."""

    def step(self) -> list[tuple[str, Any]]:
        """Work on all requests. Returns (id, output) of those that finished."""

    def abort(self, ids: list[str]) -> None:
        """Abort requests."""

    def close(self) -> None:
        """Free the memory."""


@dataclass
class _Call:
    """The requests of one caller."""

    waiting: Iterator[Request]
    done: list[Finished] = field(default_factory=list)
    flying: int = 0
    taken_up: bool = False
    left: bool = False

    @property
    def is_over(self) -> bool:
        return self.taken_up and not self.flying


class Loop:
    """A core and the thread that runs it."""

    def __init__(self, make: Callable[[], Core], stopping: threading.Event) -> None:
        """Load a core by `make`, in the loop's thread; its exceptions are raised here.

        `stopping` is the run's event.
        """
        self._make = make
        self._stopping = stopping
        self._changed = threading.Condition()
        self._calls: list[_Call] = []
        self._flying: dict[str, tuple[_Call, Request]] = {}
        self._failure: BaseException | None = None
        self._closing = False
        self._ready = threading.Event()
        self._count = 0
        self.core: Any = None
        self._thread = threading.Thread(target=self._run, name="vllm", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self.core is None:
            assert self._failure is not None
            raise self._failure

    def ask(self, requests: Iterable[Request]) -> Iterator[list[Finished]]:
        """Run all requests, and yield the finished ones about every second.

        Once `stopping` is set, no request is added, those that do not run yet are aborted, and
        those that run have STOP_SECONDS to finish. An error of the core is raised after the
        finished requests were yielded.
        """
        call = _Call(iter(requests))
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
        try:
            over = False
            while not over:
                until = time.monotonic() + YIELD_SECONDS
                with self._changed:
                    while not self._ended(call) and (left := until - time.monotonic()) > 0:
                        self._changed.wait(left)
                    done, call.done = call.done, []
                    over = self._ended(call)
                if done:
                    yield done
            if self._failure is not None and not call.is_over:
                raise self._failure
        finally:
            # If the caller stops early, its remaining requests must not go on running.
            with self._changed:
                call.left = True
                self._changed.notify_all()

    def close(self) -> None:
        """End the thread and free the core. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _ended(self, call: _Call) -> bool:
        return call.is_over or self._failure is not None

    def _run(self) -> None:
        try:
            self.core = self._make()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        try:
            self._work()
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            self.core.close()

    def _work(self) -> None:
        deadline: float | None = None
        while True:
            with self._changed:
                while not (self._calls or self._closing):
                    self._changed.wait()
                if self._closing:
                    self._give_up(list(self._flying))
                    return
                self._drop_those_who_left()
                if not self._stopping.is_set():
                    deadline = None
                    self._top_up()
                elif deadline is None:
                    deadline = time.monotonic() + STOP_SECONDS
                    self._take_up_no_more()
                    self._give_up(list(self._flying)[self.core.running :])
                elif time.monotonic() > deadline:
                    self._give_up(list(self._flying))
                if self._stopping.is_set():
                    self._take_up_no_more()
                self._calls = [call for call in self._calls if not call.is_over]
                self._changed.notify_all()
            if self._flying:
                outputs = self.core.step()
                with self._changed:
                    for id, output in outputs:
                        # An output may still arrive for a request that was aborted.
                        if id in self._flying:
                            call, request = self._flying.pop(id)
                            call.flying -= 1
                            call.done.append(Finished(request.row, output))

    def _top_up(self) -> None:
        """Add requests while there is room, call by call in the order of arrival."""
        for call in self._calls:
            while not call.taken_up and len(self._flying) < AHEAD * self.core.running:
                request = next(call.waiting, None)
                if request is None:
                    call.taken_up = True
                    break
                self._count += 1
                refused = self.core.add(str(self._count), request)
                if refused is None:
                    self._flying[str(self._count)] = (call, request)
                    call.flying += 1
                else:
                    call.done.append(Finished(request.row, None, f"refused: {refused}"))

    def _take_up_no_more(self) -> None:
        for call in self._calls:
            call.taken_up = True

    def _drop_those_who_left(self) -> None:
        gone = [call for call in self._calls if call.left]
        if gone:
            self._give_up([id for id, (call, _) in self._flying.items() if call.left])
            for call in gone:
                call.taken_up = True

    def _give_up(self, ids: list[str]) -> None:
        if ids:
            self.core.abort(ids)
        for id in ids:
            call, _ = self._flying.pop(id)
            call.flying -= 1
