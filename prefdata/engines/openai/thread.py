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
"""How long a thread may take to take what is finished."""


class LoopThread:
    """An event loop in a thread of its own. `closing` is set when its calls must come to an end."""

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
    def submit_call(self, work: Coroutine[Any, Any, Any]) -> Iterator[Future[Any]]:
        """The same for a call, which `finish` waits for until somebody has taken its results."""
        future = self.submit(work)
        self._calls.add(future)
        try:
            yield future
        finally:
            with self._taken:
                self._calls.discard(future)
                self._taken.notify_all()

    def finish(self) -> None:
        """Let other threads take what their calls have in flight: it is paid for."""
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
