"""Commits while an engine works: what is finished waits a few seconds at most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import polars as pl

WAIT_SECONDS = 3.0
"""How long finished results wait for others to share their segment. At most 5 s of finished work
are lost when the process is killed: the rest is for the write."""


class Committer:
    """Hands the results of one call to `commit`, in a thread of its own.

    An engine may yield a batch and then work for minutes on the next one: nothing runs in the
    thread that waits for it. What waits here is referred to by the call as well, so that slow
    storage takes no memory beyond that.
    """

    def __init__(self, commit: Callable[[list[pl.DataFrame]], None]) -> None:
        self._commit = commit
        self._waiting: list[pl.DataFrame] = []
        self._since = 0.0
        self._busy = False
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="memo", daemon=True)

    def add(self, results: pl.DataFrame) -> None:
        """Add results that were just finished. Raises what went wrong with earlier ones."""
        with self._changed:
            if self._error is not None:
                raise self._error
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(results)
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was added is committed, or can't be."""
        with self._changed:
            self._since = -WAIT_SECONDS
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error or not (self._waiting or self._busy))

    def close(self) -> None:
        """Commit all that still waits. Raises what goes wrong, now or earlier."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        if self._waiting:
            # An earlier commit failed and stopped the thread; that may have passed.
            self._commit(self._waiting)
            self._waiting = []
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_due():
                    self._changed.wait(self._pause())
                if not self._waiting:
                    return
                due, self._waiting, self._busy = self._waiting, [], True
            error: BaseException | None = None
            try:
                self._commit(due)
            except BaseException as raised:
                error = raised
            with self._changed:
                self._busy = False
                if error is not None:
                    self._error, self._waiting = error, [*due, *self._waiting]
                self._changed.notify_all()
            if error is not None:
                return

    def _is_due(self) -> bool:
        if self._closed:
            return True
        return bool(self._waiting) and self._pause() == 0

    def _pause(self) -> float | None:
        """Seconds until what waits is due; None while nothing does."""
        if not self._waiting:
            return None
        return max(0.0, self._since + WAIT_SECONDS - time.monotonic())
