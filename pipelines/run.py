"""The whole way: all stages in order, and rounds of them until there are as many pairs as wanted.

A round is top-up, generate, judge, score (where it is part of the run), pair, augment and filter.
What earlier rounds asked is in the memo, so a round pays for its new samples alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count

from prefdata.config.params import Params
from prefdata.engines.base import STOPPING
from prefdata.inference.progress import Progress
from prefdata.inference.usage import Usage
from prefdata.pipelines.stages import top_up
from prefdata.pipelines.stages.base import write_stats
from prefdata.pipelines.stages.registry import STAGES, check_faults

AGAIN = ("generate", "judge", "score", "pair", "augment", "filter")
LAST = "export"


class Runner:
    """Runs stages and says how they went; `seconds` by stage, `usage` of all rounds so far."""

    def __init__(self, params: Params, names: Sequence[str], arguments: Sequence[str], quiet: bool):
        self.params, self.names, self.arguments, self.quiet = params, names, arguments, quiet
        self.progress = Progress(quiet)
        self.seconds = dict.fromkeys(names, 0.0)
        self.usage: dict[str, dict[str, Usage]] = {}

    def run(self, name: str) -> None:
        """Run a stage. Raises TooManyFaulty where too many of its records were faulty."""
        if STOPPING.is_set():
            raise KeyboardInterrupt
        self.progress.line(f"{name} ({self.names.index(name) + 1}/{len(self.names)}) …")
        started = time.monotonic()
        stats = STAGES[name](self.params, self.arguments, self.quiet)
        seconds = time.monotonic() - started
        self.seconds[name] = round(self.seconds[name] + seconds, 2)
        for call, usage in stats.usage.items():
            self.progress.line(f"  {call}: {usage.line()}")
        self.progress.line(f"  {stats.rows_in} in, {stats.rows_out} out, {seconds:.2f} s")
        before = self.usage.get(name, {})
        self.usage[name] = {
            call: before[call].then(usage) if call in before else usage
            for call, usage in stats.usage.items()
        }
        if before:
            update = {"usage": self.usage[name]}
            write_stats(self.params, name, stats.model_copy(update=update))
        check_faults(self.params, name, stats)

    def run_all(self) -> None:
        """Run all of `names`, export being the last, in as many rounds as it takes."""
        top_up.forget(self.params)
        for name in self.names:
            if name != LAST:
                self.run(name)
        for number in count(1) if self.params.generate.wants_pairs() else ():
            found = top_up.run_stage(self.params, self.arguments, self.quiet)
            self.progress.line(f"round {number}: {found.line()}")
            if not found.drawn:
                break
            for name in AGAIN:
                if name in self.names:
                    self.run(name)
        self.run(LAST)
