"""The interface through which a run reports its progress. A display overrides its methods."""

from __future__ import annotations

from typing import ClassVar

from prefdata.inference.usage import Usage


class Progress:
    """Shows nothing. Methods are called from several threads at once, one per bucket."""

    draws: ClassVar[bool] = False
    """Whether it draws on the terminal, so that other output there would be overwritten."""

    def start_stage(self, stage: str, number: int, stages: int) -> None:
        """Stage `number` of `stages` begins, counted from 1."""

    def finish_stage(self, stage: str, rows_in: int, rows_out: int, seconds: float) -> None:
        """The stage is done."""

    def start_bucket(self, stage: str, call: str, buckets: int) -> None:
        """One of `buckets` buckets is about to begin a call, such as "generate policy"."""

    def start_call(self, stage: str, call: str, requests: int, cached: int) -> None:
        """A bucket begins a call of this many requests; the memo had `cached` of them."""

    def advance(self, stage: str, call: str, requests: int, usage: Usage) -> None:
        """This many more requests of a bucket's call are finished; `usage` is the call's so far."""

    def note(self, text: str) -> None:
        """Show a line of text."""
