"""What a stage counts, bucket by bucket, and the check that nothing is lost."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel

from prefdata.errors import AccountingError
from prefdata.inference.usage import Usage


class StepStats(BaseModel):
    """Counts of one filter."""

    rows_in: int = 0
    rows_out: int = 0
    dropped: dict[str, int] = {}
    figures: dict[str, float] = {}

    def plus(self, other: StepStats) -> StepStats:
        """The sum of both; figures, of which each step has one source, are put together."""
        return StepStats(
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            dropped=_added(self.dropped, other.dropped),
            figures={**self.figures, **other.figures},
        )


class Stats(BaseModel):
    """Counts of a bucket, or of a stage once added up.

    `steps` are those of the filters, by place and kind.
    """

    rows_in: int = 0
    rows_out: int = 0
    rows_written: int = 0
    dropped: dict[str, int] = {}
    faults: int = 0
    usage: dict[str, Usage] = {}
    digests: dict[str, str] = {}
    shards: dict[str, int] = {}
    steps: dict[str, StepStats] = {}

    def plus(self, other: Stats) -> Stats:
        """The sum of both."""
        models = sorted({*self.usage, *other.usage})
        none = Usage()
        return Stats(
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            rows_written=self.rows_written + other.rows_written,
            dropped=_added(self.dropped, other.dropped),
            faults=self.faults + other.faults,
            usage={m: self.usage.get(m, none).plus(other.usage.get(m, none)) for m in models},
            digests={**self.digests, **other.digests},
            shards={**self.shards, **other.shards},
            steps={s: _step(self, s).plus(_step(other, s)) for s in {**self.steps, **other.steps}},
        )


def _step(stats: Stats, step: str) -> StepStats:
    return stats.steps.get(step, StepStats())


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted({*one, *other})}


def account(where: str, rows_in: int, rows_out: int, dropped: pl.DataFrame) -> Stats:
    """Stats of a bucket; an error unless rows in = rows out + dropped."""
    if rows_in != rows_out + dropped.height:
        raise AccountingError(
            f"{where}: {rows_in} rows in, but {rows_out} out and {dropped.height} dropped",
            "This is a defect of prefdata: please report it.",
        )
    counts = dropped.group_by("reason").len().sort("reason")
    return Stats(
        rows_in=rows_in,
        rows_out=rows_out,
        dropped=dict(counts.iter_rows()),
        faults=int(dropped["fault"].sum()),
    )
