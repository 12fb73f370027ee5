"""Progress as bars, for terminals: one per model call of the stage, and one for the whole run."""

from __future__ import annotations

import threading
from typing import ClassVar, Self, TextIO

from rich import progress as rich_progress
from rich.console import Console
from rich.table import Column
from rich.text import Text

from prefdata.inference.progress import Progress
from prefdata.inference.usage import Usage
from prefdata.reports.progress import CallTally, Tallies
from prefdata.text.controls import escape_controls


class _Console(Console):
    """Leaves the cursor visible, because a run that is killed could not restore it."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class BarProgress(Progress):
    """Draws the bars, and writes a permanent line for each finished stage."""

    draws: ClassVar[bool] = True

    def __init__(self, stream: TextIO, width: int | None = None) -> None:
        self._console = _Console(
            file=stream, width=width, force_terminal=True, highlight=False, markup=False
        )
        self._bars = rich_progress.Progress(
            rich_progress.TextColumn(
                "{task.description}", markup=False, table_column=Column(ratio=2, overflow="fold")
            ),
            rich_progress.BarColumn(bar_width=None, table_column=Column(ratio=2)),
            rich_progress.TextColumn(
                "{task.fields[figures]}", markup=False, table_column=Column(ratio=3)
            ),
            console=self._console,
            transient=True,
            expand=True,
            # A run prints only after its end, so there is no output to redirect.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tallies = Tallies()
        self._tasks: dict[str, rich_progress.TaskID] = {}
        self._lock = threading.Lock()
        self._whole: rich_progress.TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start_stage(self, stage: str, number: int, stages: int) -> None:
        self._tallies.clear()
        figures = f"stage {number} of {stages}"
        if self._whole is None:
            self._whole = self._bars.add_task(stage, total=stages, figures=figures)
        self._bars.update(
            self._whole, description=stage, completed=number - 1, total=stages, figures=figures
        )

    def finish_stage(self, stage: str, rows_in: int, rows_out: int, seconds: float) -> None:
        with self._lock:
            for task in self._tasks.values():
                self._bars.remove_task(task)
            self._tasks.clear()
        if self._whole is not None:
            self._bars.advance(self._whole)
        self.note(f"{stage}: {rows_in:,} in, {rows_out:,} out, {seconds:.2f} s")
        for call, tally in self._tallies.calls.items():
            self.note(f"  {call}: {tally.format()}")

    def start_bucket(self, stage: str, call: str, buckets: int) -> None:
        self._tallies.start_bucket(call, buckets)

    def start_call(self, stage: str, call: str, requests: int, cached: int) -> None:
        self._draw(call, self._tallies.start(call, requests, cached))

    def advance(self, stage: str, call: str, requests: int, usage: Usage) -> None:
        self._draw(call, self._tallies.advance(call, requests))

    def note(self, text: str) -> None:
        self._console.print(Text(escape_controls(text)))

    def _draw(self, call: str, tally: CallTally) -> None:
        with self._lock:
            if call not in self._tasks:
                self._tasks[call] = self._bars.add_task(escape_controls(call), figures="")
            self._bars.update(
                self._tasks[call],
                total=tally.expected,
                completed=tally.finished + tally.cached,
                figures=tally.format(),
            )
