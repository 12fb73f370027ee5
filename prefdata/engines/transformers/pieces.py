"""Batches too large for memory are run in halves; a run that stops has a grace period."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from prefdata.engines.base import GRACE_SECONDS
from prefdata.errors import ModelError

Result = TypeVar("Result")
_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")


class GivenUp(Exception):
    """The run is stopping, and the batch in flight was not finished within the grace period."""


class Grace:
    """The grace period, counted from the first check after the run was asked to stop."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._noticed: float | None = None

    def check(self) -> None:
        """Raise GivenUp once the grace period is over."""
        if not self._stopping.is_set():
            return
        now = time.monotonic()
        self._noticed = now if self._noticed is None else self._noticed
        if now - self._noticed >= GRACE_SECONDS:
            raise GivenUp


class Pieces:
    """Runs batches for one operation of one model.

    If memory runs out, the batch is cut in half, and each half again if need be. The smallest size
    that was too large is remembered, so that later batches of that size are cut without trying:
    into the same pieces, and so with the same results.
    """

    def __init__(self, remedy: str) -> None:
        self.remedy = remedy
        self.too_large: int | None = None

    def run(
        self,
        rows: Sequence[int],
        size: Callable[[Sequence[int]], int],
        work: Callable[[Sequence[int]], list[Result]],
        grace: Grace,
    ) -> list[Result]:
        """The results of `work`, one per row. `size` is in tokens, padding included.

        Raises:
            ModelError: A single row does not fit into memory.
            GivenUp: The grace period is over.
        """
        grace.check()
        if len(rows) == 1 or self.too_large is None or size(rows) < self.too_large:
            try:
                return work(rows)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).strip().splitlines()[0]
            # Outside the except block, whose traceback keeps the tensors that did not fit alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if len(rows) == 1:
                raise ModelError(
                    f"out of memory on a single request of {size(rows)} tokens: {reason}",
                    self.remedy,
                )
            self.too_large = min(size(rows), self.too_large or size(rows))
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:])
        return [result for half in halves for result in self.run(half, size, work, grace)]


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the device or the machine had no memory left."""
    # CUDA has an exception class for it; MPS and the CPU only have a message.
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error).lower() for sign in _SIGNS
    )
