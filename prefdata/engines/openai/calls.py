"""Calls: thousands of requests with bounded concurrency, retried, and yielded as they finish."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import polars as pl

from prefdata.engines.base import GRACE_SECONDS, result_schema
from prefdata.engines.openai.clients.base import Client, Row, Unit
from prefdata.engines.openai.faults import Fault, compute_backoff
from prefdata.engines.openai.pool import RESUME, Pool
from prefdata.engines.openai.thread import TAKE_SECONDS, LoopThread
from prefdata.errors import ModelError

FRAME_ROWS = 128
FRAME_SECONDS = 0.5
WAITING = 4
"""The most requests that may wait for their next attempt, as a multiple of `concurrency`: a server
that fails them all is not sent all the others too."""
STREAK = 32
"""After this many requests in a row that failed for good, the server itself is in doubt."""
_KEY_OR_MODEL = (401, 403, 404)
_DOUBT_SECONDS = 10.0
_CANARY_TRIES = 3


class EngineCall:
    """All requests of one call of the engine, sent by `concurrency` workers.

    A worker makes one attempt at a time; a request that waits for its next attempt occupies none.

    Args:
        retried: Called for every request that is sent again.
        stopping: The run's event.
    """

    def __init__(
        self,
        pool: Pool,
        client: Client,
        max_retries: int,
        retried: Callable[[], None],
        stopping: threading.Event,
    ) -> None:
        self.pool, self.client, self.max_retries, self.retried = pool, client, max_retries, retried
        self.stopping = stopping
        self.units = client.list_units()
        self.again: deque[Unit] = deque()
        self.waiting: set[asyncio.TimerHandle] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.finished: list[Row] = []
        self.frames: SimpleQueue[list[Row] | None] = SimpleQueue()
        self.proved = False
        self.proved_at = 0.0
        self.streak = 0

    def stream(self, thread: LoopThread) -> Iterator[pl.DataFrame]:
        """Yield frames of finished requests, until all are finished or the run is stopping."""
        self.closing = thread.closing
        schema = result_schema(self.client.operation)
        with thread.submit_call(self._run()) as future:
            try:
                while (rows := self.frames.get()) is not None:
                    yield pl.DataFrame(rows, schema=schema, orient="row")
                with suppress(CancelledError):
                    future.result()
            finally:
                # The consumer may have stopped half-way; then its results are discarded.
                if future.cancel():
                    with suppress(Empty):
                        while self.frames.get(timeout=TAKE_SECONDS) is not None:
                            pass
        if thread.closing.is_set() and not self.stopping.is_set():
            raise ModelError(
                f"models.{self.pool.name}: its engine was closed while it was asked", RESUME
            )

    def _is_stopping(self) -> bool:
        return self.stopping.is_set() or self.closing.is_set()

    async def _run(self) -> None:
        try:
            self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.doubting = asyncio.Lock()
            ticking = asyncio.create_task(self._tick())
            self._spawn(self._begin())
            try:
                await self.over
            finally:
                ticking.cancel()
                for handle in self.waiting:
                    handle.cancel()
                for task in self.tasks:
                    task.cancel()
                await asyncio.gather(ticking, *self.tasks, return_exceptions=True)
        finally:
            self._flush()
            self.frames.put(None)

    async def _begin(self) -> None:
        for attempt in range(self.max_retries + 1):
            try:
                await self.client.prepare(self.pool.post)
                break
            except Fault as fault:
                if fault.retry and attempt < self.max_retries:
                    await asyncio.sleep(fault.after or compute_backoff(attempt))
                    continue
                raise self._make_model_error(fault) from None
        for _ in range(self.pool.options.concurrency):
            self._spawn(self._work())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._handle_end)

    def _handle_end(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.over.done():
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.over.set_exception(error)
        elif not self.tasks and not self.waiting:
            self.over.set_result(None)

    async def _tick(self) -> None:
        """Pass on finished requests, and end within the grace period when the run is stopping."""
        stopped_at = None
        while True:
            await asyncio.sleep(FRAME_SECONDS)
            self._flush()
            if not self._is_stopping():
                continue
            if stopped_at is None:
                stopped_at = time.monotonic()
                for handle in self.waiting:
                    handle.cancel()
                self.waiting.clear()
            late = time.monotonic() - stopped_at >= GRACE_SECONDS - 2 * FRAME_SECONDS
            if (late or not self.tasks) and not self.over.done():
                self.over.set_result(None)

    async def _work(self) -> None:
        """One of `concurrency` workers; it ends when there is nothing to send."""
        while not self._is_stopping():
            if self.doubting.locked():
                async with self.doubting:
                    pass
            unit = self.again.popleft() if self.again else self._take_new()
            if unit is None:
                return
            post = self.pool.post
            if unit.avoid is not None:
                post = partial(post, avoid=unit.avoid)
            try:
                rows = await self.client.send(unit, post)
            except Fault as fault:
                await self._handle_fault(unit, fault)
            else:
                self.proved, self.streak = True, 0
                self._finish(rows)

    def _take_new(self) -> Unit | None:
        """The next unit that was never sent; None while too many wait to be sent again."""
        if len(self.waiting) >= WAITING * self.pool.options.concurrency:
            return None
        return next(self.units, None)

    def _finish(self, rows: list[Row]) -> None:
        self.finished += [tuple(map(self.pool.redaction.redact_value, row)) for row in rows]
        if len(self.finished) >= FRAME_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self.finished:
            self.frames.put(self.finished)
            self.finished = []

    async def _handle_fault(self, unit: Unit, fault: Fault) -> None:
        if fault.unreached:
            # Nothing was sent, and the pool has taken the server out: no attempt is counted.
            self.retried()
            self.again.append(unit)
            return
        final = not fault.retry or unit.attempts >= self.max_retries
        if (fault.lacking and not self.proved) or (final and not fault.retry and not fault.own):
            await self._doubt(fault)
        if not final:
            self._postpone(unit, fault)
        elif len(unit.keys) > 1:
            # One of the rows is at fault; the others must not fail with it.
            self.again.extend(self.client.split(unit))
        else:
            if not fault.own:
                self.streak += 1
            if self.streak >= STREAK:
                self.streak = 0
                await self._doubt(fault, conclusive=True)
            self._finish([self.client.make_failure(unit.keys[0], self._explain(fault))])

    def _postpone(self, unit: Unit, fault: Fault) -> None:
        self.retried()
        delay = fault.after if fault.after is not None else compute_backoff(unit.attempts)
        if fault.after is not None and self.pool.has_another(fault.server):
            delay = 0.0
        unit.attempts += 1
        unit.avoid = fault.server
        loop = asyncio.get_running_loop()

        def due() -> None:
            self.waiting.discard(handle)
            self.again.append(unit)
            if len(self.tasks) < self.pool.options.concurrency:
                self._spawn(self._work())

        handle = loop.call_later(delay, due)
        self.waiting.add(handle)

    async def _doubt(self, fault: Fault, conclusive: bool = False) -> None:
        """Tell a bad request from a bad server, by a harmless request with the same settings.

        Raises ModelError if that fails too: all other requests would fail as well.
        """
        async with self.doubting:
            recent = time.monotonic() - self.proved_at < _DOUBT_SECONDS
            trusted = self.proved and (recent or fault.status not in _KEY_OR_MODEL)
            if trusted and not conclusive:
                return
            failure = await self._send_canary()
            if failure is None or failure.own:
                self.proved, self.proved_at = True, time.monotonic()
            elif conclusive or not failure.retry or failure.lacking:
                raise self._make_model_error(failure)

    async def _send_canary(self) -> Fault | None:
        last = None
        for attempt in range(_CANARY_TRIES):
            try:
                await self.client.send(self.client.make_canary(), self.pool.post)
                return None
            except Fault as fault:
                last = fault
                if not fault.retry or fault.lacking:
                    break
                await asyncio.sleep(min(fault.after or compute_backoff(attempt), 5.0))
        return last

    def _explain(self, fault: Fault) -> str:
        return self.pool.redaction.redact_error(str(fault))

    def _make_model_error(self, fault: Fault) -> ModelError:
        where = f"models.{self.pool.name}"
        remedies = {
            401: f"Check the key that {where}.options.api_key_env names.",
            403: f"Check the key that {where}.options.api_key_env names, and what it may do.",
            404: f"Check {where}.model and {where}.options.base_urls (they end in /v1 as a rule).",
        }
        remedy = fault.remedy or remedies.get(
            fault.status or 0, f"Check the server, {where}.options and the stage's settings."
        )
        return ModelError(
            f"{where}: the server can't {self.client.operation}: {self._explain(fault)}",
            f"{remedy} {RESUME}",
        )
