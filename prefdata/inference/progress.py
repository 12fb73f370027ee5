"""The progress of a run, as its parts report it. A display overrides these methods."""

from __future__ import annotations

from typing import ClassVar

from prefdata.inference.usage import Usage


class Progress:
    """Shows nothing. Calls come from several threads at once, one per bucket in work."""

    draws: ClassVar[bool] = False
    """Whether it draws on the terminal, so that what others write there would be lost."""

    def start_stage(self, stage: str, number: int, stages: int) -> None:
        """Stage `number` of `stages` begins, counted from 1."""

    def finish_stage(self, stage: str, rows_in: int, rows_out: int, seconds: float) -> None:
        """The stage is done."""

    def start_bucket(self, stage: str, call: str, buckets: int) -> None:
        """One of so many buckets is about to ask a model, such as "generate policy", for the first
        time."""

    def start_call(self, stage: str, call: str, requests: int, cached: int) -> None:
        """A bucket begins a call, such as "generate policy", of `requests`, of which the memo had
        `cached`."""

    def advance(self, stage: str, call: str, requests: int, usage: Usage) -> None:
        """So many more requests of a bucket's call are finished; `usage` is the call's so far."""

    def note(self, text: str) -> None:
        """Show a line of its own."""
