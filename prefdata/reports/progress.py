"""Progress on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from prefdata.inference.progress import Progress

LINE_SECONDS = 5.0
"""The seconds between two lines on a call, where there is no terminal."""
FEW_FILES = 32
"""Fewer files than these are read before anybody asks."""


@dataclass
class CallTally:
    """The requests of one call, such as "generate policy", over all buckets that have begun.

    Attributes:
        requests: The number of requests.
        cached: The number of requests that the memo had.
        finished: The number of other requests that are done.
        begun: The number of buckets that have begun.
        buckets: The number of buckets.
        started: When the call began, in seconds of the monotonic clock.
    """

    requests: int = 0
    cached: int = 0
    finished: int = 0
    begun: int = 0
    buckets: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def expected(self) -> int:
        """The estimated number of requests of all buckets, if they are alike."""
        return round(self.requests * self._share)

    @property
    def _share(self) -> float:
        return self.buckets / self.begun if self.begun else 1.0

    @property
    def rate(self) -> float:
        """Finished requests per second, without those that the memo had."""
        return self.finished / max(time.monotonic() - self.started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """The estimated seconds left for all buckets; None if nothing is finished yet."""
        asked = (self.requests - self.cached) * self._share
        return (asked - self.finished) / self.rate if self.finished else None

    def format(self) -> str:
        """One line of text: finished requests, memo hits, rate and time left."""
        about = "" if self.begun == self.buckets else "~"
        parts = [f"{self.finished + self.cached:,}/{about}{self.expected:,}"]
        if self.cached:
            parts.append(f"{self.cached:,} from memo")
        if self.finished:
            parts.append(f"{self.rate:,.0f}/s")
        left = self.seconds_left
        if left:
            parts.append(f"{format_seconds(left)} left")
        return ", ".join(parts)


class Tallies:
    """The calls of the running stage; several threads add to them."""

    def __init__(self) -> None:
        self.calls: dict[str, CallTally] = {}
        self.lock = threading.Lock()

    def clear(self) -> None:
        """Forget the calls when another stage begins."""
        with self.lock:
            self.calls.clear()

    def start_bucket(self, call: str, buckets: int) -> None:
        """Another of `buckets` buckets begins a call."""
        with self.lock:
            tally = self.calls.setdefault(call, CallTally())
            tally.begun += 1
            tally.buckets = buckets

    def start(self, call: str, requests: int, cached: int) -> CallTally:
        """Add the requests of a bucket, and those of them that the memo had."""
        with self.lock:
            tally = self.calls.setdefault(call, CallTally())
            tally.requests += requests
            tally.cached += cached
            return tally

    def advance(self, call: str, requests: int) -> CallTally:
        """Add finished requests of a call."""
        with self.lock:
            tally = self.calls.setdefault(call, CallTally())
            tally.finished += requests
            return tally


def format_seconds(seconds: float) -> str:
    """Format seconds as 0:42, 12:05 or 3:12:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def open_progress(quiet: bool, stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress on standard error, or on `stream`: none if `quiet`, bars on a terminal, else lines.

    The terminal is restored at the end, even after an error.
    """
    stream = stream or sys.stderr
    if quiet:
        from prefdata.inference.progress import Progress

        yield Progress()
    elif stream.isatty():
        from prefdata.reports.bars import BarProgress

        with BarProgress(stream) as progress:
            yield progress
    else:
        from prefdata.reports.lines import LineProgress

        yield LineProgress(stream)


@contextmanager
def show_files(quiet: bool, command: str) -> Iterator[Callable[[int, int], None]]:
    """Progress of a command that reads files: a function to be told how many of how many are read.

    It writes nothing where there are few, as of most datasets.
    """
    from prefdata.inference.usage import Usage

    with ExitStack() as opened:
        progress: Progress | None = None
        shown = 0

        def advance(done: int, total: int) -> None:
            nonlocal progress, shown
            if total < FEW_FILES:
                return
            if progress is None:
                progress = opened.enter_context(open_progress(quiet))
                progress.start_stage(command, 1, 1)
                progress.start_bucket(command, "files", 1)
                progress.start_call(command, "files", total, 0)
            progress.advance(command, "files", done - shown, Usage())
            shown = done

        yield advance
