"""Thousands of requests with bounded concurrency, retried, streamed out as they finish."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import polars as pl

from prefdata.engines.base import GRACE_SECONDS, result_schema
from prefdata.engines.openai.asks import Ask, Unit
from prefdata.engines.openai.faults import Fault, backoff
from prefdata.engines.openai.pool import RESUME, Pool
from prefdata.errors import ModelError

FRAME_ROWS = 128
FRAME_SECONDS = 0.5
TAKE_SECONDS = 2.0
"""How long a thread may take to take what is finished."""
WAITING = 4
"""Up to so many times `concurrency` requests wait for their next try. A server that fails them all
is not also flooded with all the others."""
STREAK = 32
"""So many requests that failed for good in a row put the server itself in doubt."""
_KEY_OR_MODEL = (401, 403, 404)
_DOUBT_SECONDS = 10.0
_CANARY_TRIES = 3


class LoopThread:
    """An event loop in a thread of its own. `closing` tells its calls to come to an end."""

    def __init__(self, name: str) -> None:
        self.closing = threading.Event()
        self._calls: set[Future[Any]] = set()
        self._taken = threading.Condition()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    @contextmanager
    def call(self, work: Coroutine[Any, Any, Any]) -> Iterator[Future[Any]]:
        """The same for a call, as long as somebody takes what comes of it."""
        future = self.submit(work)
        self._calls.add(future)
        try:
            yield future
        finally:
            with self._taken:
                self._calls.discard(future)
                self._taken.notify_all()

    def finish(self) -> None:
        """Let other threads have what their calls have in flight: it is paid for."""
        self.closing.set()
        wait(list(self._calls), timeout=GRACE_SECONDS)
        with self._taken:
            self._taken.wait_for(lambda: not self._calls, timeout=TAKE_SECONDS)

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        self.submit(_cancel_all()).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Call:
    """All requests of one call of the engine.

    What is asked of the pool is one attempt at a time; a request that waits for its next attempt
    holds no place among those in flight.
    """

    def __init__(
        self,
        pool: Pool,
        ask: Ask,
        max_retries: int,
        retried: Callable[[], None],
        stopping: threading.Event,
    ) -> None:
        self.pool, self.ask, self.max_retries, self.retried = pool, ask, max_retries, retried
        self.stopping = stopping
        self.units = ask.units()
        self.again: deque[Unit] = deque()
        self.waiting: set[asyncio.TimerHandle] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.finished: list[tuple[Any, ...]] = []
        self.frames: SimpleQueue[list[tuple[Any, ...]] | None] = SimpleQueue()
        self.proved = False
        self.proved_at = 0.0
        self.streak = 0

    def results(self, thread: LoopThread) -> Iterator[pl.DataFrame]:
        """Frames of finished requests, until all are finished or the run is stopping."""
        self.closing = thread.closing
        schema = result_schema(self.ask.operation)
        with thread.call(self._run()) as future:
            try:
                while (rows := self.frames.get()) is not None:
                    yield pl.DataFrame(rows, schema=schema, orient="row")
                with suppress(CancelledError):
                    future.result()
            finally:
                # The consumer may have gone away half-way; nobody waits for its answers.
                if future.cancel():
                    with suppress(Empty):
                        while self.frames.get(timeout=TAKE_SECONDS) is not None:
                            pass
        if thread.closing.is_set() and not self.stopping.is_set():
            raise ModelError(
                f"models.{self.pool.name}: its engine was closed while it was asked", RESUME
            )

    def _stopping(self) -> bool:
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
                await self.ask.prepare(self.pool.post)
                break
            except Fault as fault:
                if fault.retry and attempt < self.max_retries:
                    await asyncio.sleep(fault.after or backoff(attempt))
                    continue
                raise self._model_error(fault) from None
        for _ in range(self.pool.options.concurrency):
            self._spawn(self._work())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.over.done():
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.over.set_exception(error)
        elif not self.tasks and not self.waiting:
            self.over.set_result(None)

    async def _tick(self) -> None:
        """Hand on what is finished; and when the run is stopping, end in time."""
        stopped_at = None
        while True:
            await asyncio.sleep(FRAME_SECONDS)
            self._flush()
            if not self._stopping():
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
        """One of `concurrency` workers; it ends where there is nothing to take up now."""
        while not self._stopping():
            if self.doubting.locked():
                async with self.doubting:
                    pass
            unit = self.again.popleft() if self.again else self._fresh()
            if unit is None:
                return
            post = self.pool.post
            if unit.avoid is not None:
                post = partial(post, avoid=unit.avoid)
            try:
                rows = await self.ask.answer(unit, post)
            except Fault as fault:
                await self._failed(unit, fault)
            else:
                self.proved, self.streak = True, 0
                self._done(rows)

    def _fresh(self) -> Unit | None:
        """The next request that was never sent; none while too many wait to be sent again."""
        if len(self.waiting) >= WAITING * self.pool.options.concurrency:
            return None
        return next(self.units, None)

    def _done(self, rows: list[tuple[Any, ...]]) -> None:
        self.finished += rows
        if len(self.finished) >= FRAME_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self.finished:
            self.frames.put(self.finished)
            self.finished = []

    async def _failed(self, unit: Unit, fault: Fault) -> None:
        if fault.unreached:
            # Nothing was sent, and the pool has taken the server out: no try was lost.
            self.retried()
            self.again.append(unit)
            return
        final = not fault.retry or unit.attempts >= self.max_retries
        if (fault.lacking and not self.proved) or (final and not fault.retry and not fault.own):
            await self._doubt(fault)
        if not final:
            self._later(unit, fault)
        elif len(unit.keys) > 1:
            # One of them is at fault; the others shall not fall with it.
            self.again.extend(self.ask.split(unit))
        else:
            if not fault.own:
                self.streak += 1
            if self.streak >= STREAK:
                self.streak = 0
                await self._doubt(fault, conclusive=True)
            self._done([self.ask.failure(unit.keys[0], str(fault))])

    def _later(self, unit: Unit, fault: Fault) -> None:
        self.retried()
        delay = fault.after if fault.after is not None else backoff(unit.attempts)
        if fault.after is not None and self.pool.another(fault.server):
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
        """Is it this request, or the server and its settings? A neutral request with the same
        settings tells; where that fails too, ModelError: all the others would fail as well."""
        async with self.doubting:
            recent = time.monotonic() - self.proved_at < _DOUBT_SECONDS
            known = self.proved and (recent or fault.status not in _KEY_OR_MODEL)
            if known and not conclusive:
                return
            found = await self._canary()
            if found is None or found.own:
                self.proved, self.proved_at = True, time.monotonic()
            elif conclusive or not found.retry or found.lacking:
                raise self._model_error(found)

    async def _canary(self) -> Fault | None:
        last = None
        for attempt in range(_CANARY_TRIES):
            try:
                await self.ask.answer(self.ask.canary(), self.pool.post)
                return None
            except Fault as fault:
                last = fault
                if not fault.retry or fault.lacking:
                    break
                await asyncio.sleep(min(fault.after or backoff(attempt), 5.0))
        return last

    def _model_error(self, fault: Fault) -> ModelError:
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
            f"{where}: the server can't {self.ask.operation}: {fault}", f"{remedy} {RESUME}"
        )
