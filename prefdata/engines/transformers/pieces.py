"""Batches that memory can't take are run in halves; a run that stops has a time of grace."""

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
    """The run is stopping, and what is in flight was not finished within the grace."""


class Grace:
    """Counts the seconds since the run was asked to stop, from when it was first noticed."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._noticed: float | None = None

    def check(self) -> None:
        """Raise GivenUp once the grace is over."""
        if not self._stopping.is_set():
            return
        now = time.monotonic()
        self._noticed = now if self._noticed is None else self._noticed
        if now - self._noticed >= GRACE_SECONDS:
            raise GivenUp


class Pieces:
    """Runs batches for one operation of one model.

    Where memory runs out the batch is cut in half, and each half again. The size that was too
    large is remembered, so that the next batch of it is cut without trying: into the same pieces,
    and so with the same results.
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

        Raises ModelError where a single row does not fit, GivenUp where the grace is over.
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
        return [found for half in halves for found in self.run(half, size, work, grace)]


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the device, or the machine, had no memory left."""
    # CUDA has a class of its own for it; MPS and the CPU only say so.
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error).lower() for sign in _SIGNS
    )
