"""Progress as plain lines, for log files and pipes."""

from __future__ import annotations

import threading
import time
from typing import TextIO

from prefdata.inference.progress import Progress
from prefdata.inference.usage import Usage
from prefdata.reports.progress import LINE_SECONDS, Tallies
from prefdata.text.controls import escape_controls


class LineProgress(Progress):
    """Writes a line when a stage begins and ends, and one on its model calls every few seconds."""

    def __init__(self, stream: TextIO, seconds: float = LINE_SECONDS) -> None:
        self._stream = stream
        self._seconds = seconds
        self._tallies = Tallies()
        self._writing = threading.Lock()
        self._written = time.monotonic()

    def start_stage(self, stage: str, number: int, stages: int) -> None:
        self._tallies.clear()
        self.note(f"{stage} ({number}/{stages}) …")

    def finish_stage(self, stage: str, rows_in: int, rows_out: int, seconds: float) -> None:
        for call, tally in self._tallies.calls.items():
            self.note(f"  {call}: {tally.format()}")
        self.note(f"  {rows_in:,} in, {rows_out:,} out, {seconds:.2f} s")

    def start_bucket(self, stage: str, call: str, buckets: int) -> None:
        self._tallies.start_bucket(call, buckets)

    def start_call(self, stage: str, call: str, requests: int, cached: int) -> None:
        self._tallies.start(call, requests, cached)

    def advance(self, stage: str, call: str, requests: int, usage: Usage) -> None:
        tally = self._tallies.advance(call, requests)
        if time.monotonic() - self._written >= self._seconds:
            self.note(f"  {call}: {tally.format()}")

    def note(self, text: str) -> None:
        with self._writing:
            self._written = time.monotonic()
            self._stream.write(escape_controls(text) + "\n")
            self._stream.flush()
