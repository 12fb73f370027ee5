"""Commits results while an engine works, at most a few seconds after they are finished."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import polars as pl

WAIT_SECONDS = 3.0
"""How long finished results wait for others to share their segment, where commits are quick."""
LIMIT_SECONDS = 5.0
"""The age of the oldest finished result that a kill may lose."""
FIRST_DELAY_SECONDS = 1.5
"""The time that a commit is thought to take before the first one."""
REMEMBERED_DELAYS = 8


class Pace:
    """How long finished results may wait for others, so that they are committed in time.

    What a commit takes is counted from when it was due until it is done: a busy machine wakes the
    thread late, and writes slowly. The slower the latest commits, the sooner the next one begins.
    All threads of a run share its pace.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._delays = deque([FIRST_DELAY_SECONDS], maxlen=REMEMBERED_DELAYS)

    def wait_seconds(self) -> float:
        """How long the next results may wait. Those that finish while a commit is under way wait
        for that one too, so room is left for two."""
        return min(WAIT_SECONDS, max(0.0, LIMIT_SECONDS - 2 * max(self._delays)))

    def record(self, delay: float) -> None:
        """Record the seconds from when a commit was due until it was done."""
        self._delays.append(delay)


class Committer:
    """Hands the results of one call to `commit`, in a thread of its own.

    It needs a thread because an engine may yield a batch and then work for minutes on the next one.
    The call keeps references to the waiting results too, so slow storage takes no extra memory.
    """

    def __init__(
        self, commit: Callable[[list[pl.DataFrame]], None], pace: Pace | None = None
    ) -> None:
        self._commit = commit
        self._pace = pace or Pace()
        self._waiting: list[pl.DataFrame] = []
        self._due = 0.0
        self._busy = False
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="memo", daemon=True)

    def add(self, results: pl.DataFrame) -> None:
        """Add finished results. Raises the error of an earlier commit."""
        with self._changed:
            if self._error is not None:
                raise self._error
            if not self._waiting:
                self._due = self._pace.clock() + self._pace.wait_seconds()
            self._waiting.append(results)
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything added is committed, or a commit has failed."""
        with self._changed:
            self._due = self._pace.clock()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error or not (self._waiting or self._busy))

    def close(self) -> None:
        """Commit everything that still waits. Raises the error of this or an earlier commit."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        if self._waiting:
            # An earlier commit failed and stopped the thread; try once more.
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
                # Closing and flushing commit before it is due.
                since = min(self._due, self._pace.clock())
            error: BaseException | None = None
            try:
                self._commit(due)
            except BaseException as raised:
                error = raised
            with self._changed:
                self._pace.record(self._pace.clock() - since)
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
        """Seconds until the waiting results are due; None if there are none."""
        if not self._waiting:
            return None
        return max(0.0, self._due - self._pace.clock())
