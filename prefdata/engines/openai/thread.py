"""The thread in which all requests of one engine are sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any

from prefdata.engines.base import GRACE_SECONDS

TAKE_SECONDS = 2.0
"""How long a caller may take to collect finished results."""


class LoopThread:
    """An event loop in a thread of its own. `closing` is set when its calls have to end."""

    def __init__(self, name: str) -> None:
        self.closing = threading.Event()
        self._calls: set[Future[Any]] = set()
        self._taken = threading.Condition()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    @contextmanager
    def submit_call(self, work: Coroutine[Any, Any, Any]) -> Iterator[Future[Any]]:
        """Run the coroutine of a call; `finish` waits until its results have been collected."""
        future = self.submit(work)
        self._calls.add(future)
        try:
            yield future
        finally:
            with self._taken:
                self._calls.discard(future)
                self._taken.notify_all()

    def finish(self) -> None:
        """Let other threads collect what their calls have in flight: it has been paid for."""
        self.closing.set()
        wait(list(self._calls), timeout=GRACE_SECONDS)
        with self._taken:
            self._taken.wait_for(lambda: not self._calls, timeout=TAKE_SECONDS)

    def close(self) -> None:
        """Cancel everything that still runs, and end the thread."""
        self.submit(_cancel_all()).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
