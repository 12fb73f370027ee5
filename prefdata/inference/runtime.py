"""What one run has in one process: whether it is to stop, its memos, and the calls it waits for.

Two runs in one process, such as two cells of a notebook, have one each and don't meet.
"""

from __future__ import annotations

import threading

from prefdata.inference.committer import Committer
from prefdata.inference.memo import Memo
from prefdata.inference.progress import Progress


class Runtime:
    """The state of a run in this process. Threads share it."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or Progress()
        self.stopping = threading.Event()
        """Set when the run is asked to stop (Ctrl-C, SIGTERM). Engines look at it."""
        self.in_flight: set[Committer] = set()
        """One for each call of an engine that the run waits for just now."""
        self.model_lock = threading.Lock()
        """Held while an engine that isn't `concurrent` works, whichever it is: two models that
        compute at once only take the cores, or the GPU's memory, from each other."""
        self._memos: dict[str, Memo] = {}
        self._opening = threading.Lock()

    def open_memo(self, root: str | None) -> Memo | None:
        """The run's memo in that folder: one for all threads, which share what it has listed and
        read. None where no memo is kept."""
        if root is None:
            return None
        with self._opening:
            if root not in self._memos:
                self._memos[root] = Memo(root)
            return self._memos[root]

    def flush(self) -> None:
        """Commit what engines have yielded so far to the memo."""
        for committer in list(self.in_flight):
            committer.flush()
