"""What a run says of its progress; whoever shows it overrides these methods."""

from __future__ import annotations

from prefdata.inference.usage import Usage


class Progress:
    """Says nothing. Calls come from several threads at once, one for each bucket in work."""

    def start_stage(self, stage: str, number: int, stages: int) -> None:
        """Stage `number` of `stages`, counted from 1, begins."""

    def finish_stage(self, stage: str, rows_in: int, rows_out: int, seconds: float) -> None:
        """The stage is done."""

    def start_call(self, stage: str, call: str, requests: int, cached: int) -> None:
        """A bucket asks a model, such as "generate policy", for `requests`, of which the memo had
        `cached`."""

    def advance(self, stage: str, call: str, requests: int, usage: Usage) -> None:
        """So many more of a bucket's requests are finished; `usage` is that of its whole call."""

    def note(self, text: str) -> None:
        """Something worth a line of its own."""
