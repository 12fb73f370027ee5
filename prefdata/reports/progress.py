"""Progress on standard error: bars on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from prefdata.inference.progress import Progress

LINE_SECONDS = 5.0
"""Between two lines on a call, where there is no terminal."""


@dataclass
class CallTally:
    """The requests of one call, such as "generate policy", over all buckets that have begun.

    Attributes:
        requests: All of them.
        cached: Those that the memo had.
        finished: Those of the others that are done.
        begun: Buckets that have begun.
        buckets: All buckets.
    """

    requests: int = 0
    cached: int = 0
    finished: int = 0
    begun: int = 0
    buckets: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def expected(self) -> int:
        """The requests that all buckets will have made, if they are alike."""
        return round(self.requests * self._share)

    @property
    def _share(self) -> float:
        return self.buckets / self.begun if self.begun else 1.0

    @property
    def rate(self) -> float:
        """Finished requests per second, what the memo had left out."""
        return self.finished / max(time.monotonic() - self.started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """For all buckets; None where nothing is finished yet."""
        asked = (self.requests - self.cached) * self._share
        return (asked - self.finished) / self.rate if self.finished else None

    def format(self) -> str:
        """For people: how far it is, what the memo had, rate and time left."""
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
    """The calls of the stage that runs; several threads add to them."""

    def __init__(self) -> None:
        self.calls: dict[str, CallTally] = {}
        self.lock = threading.Lock()

    def clear(self) -> None:
        """Forget the calls: another stage begins."""
        with self.lock:
            self.calls.clear()

    def start_bucket(self, call: str, buckets: int) -> None:
        """Another of so many buckets begins a call."""
        with self.lock:
            tally = self.calls.setdefault(call, CallTally())
            tally.begun += 1
            tally.buckets = buckets

    def start(self, call: str, requests: int, cached: int) -> CallTally:
        """A bucket asks for so many more."""
        with self.lock:
            tally = self.calls.setdefault(call, CallTally())
            tally.requests += requests
            tally.cached += cached
            return tally

    def advance(self, call: str, requests: int) -> CallTally:
        """So many more of a call's requests are finished."""
        with self.lock:
            tally = self.calls.setdefault(call, CallTally())
            tally.finished += requests
            return tally


def format_seconds(seconds: float) -> str:
    """0:42, 12:05 or 3:12:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def open_progress(quiet: bool, stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress on standard error, or on `stream`: none if `quiet`, bars on a terminal, else lines.

    What the bars took of the terminal is given back at the end, however that comes.
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
