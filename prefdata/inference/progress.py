"""Progress on standard error: one line that moves on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

LINE_SECONDS = 10.0
TERMINAL_SECONDS = 0.2


class Progress:
    """Says what is running and how far it is. `quiet` says nothing."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.moving = self.stream.isatty()
        self._said = time.monotonic()
        self._width = 0

    def update(self, text: str) -> None:
        """Show `text` if the last one has stood long enough."""
        pause = TERMINAL_SECONDS if self.moving else LINE_SECONDS
        if self.quiet or time.monotonic() - self._said < pause:
            return
        self._said = time.monotonic()
        if self.moving:
            self.stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self.stream.write(text + "\n")
        self.stream.flush()

    def line(self, text: str) -> None:
        """A line that stays."""
        if self.quiet:
            return
        if self.moving and self._width:
            self.stream.write("\r" + " " * self._width + "\r")
            self._width = 0
        self.stream.write(text + "\n")
        self.stream.flush()
