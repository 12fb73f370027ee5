"""What a stage counts, bucket by bucket, and the check that nothing is lost."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel

from prefdata.errors import AccountingError
from prefdata.inference.usage import Usage


class Stats(BaseModel):
    """Counts of a bucket, or of a stage once added up."""

    rows_in: int = 0
    rows_out: int = 0
    rows_written: int = 0
    rejected: dict[str, int] = {}
    faults: int = 0
    usage: dict[str, Usage] = {}
    digests: dict[str, str] = {}
    shards: dict[str, int] = {}

    def plus(self, other: Stats) -> Stats:
        """The sum of both."""
        reasons = sorted({*self.rejected, *other.rejected})
        models = sorted({*self.usage, *other.usage})
        none = Usage()
        return Stats(
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            rows_written=self.rows_written + other.rows_written,
            rejected={r: self.rejected.get(r, 0) + other.rejected.get(r, 0) for r in reasons},
            faults=self.faults + other.faults,
            usage={m: self.usage.get(m, none).plus(other.usage.get(m, none)) for m in models},
            digests={**self.digests, **other.digests},
            shards={**self.shards, **other.shards},
        )


def account(where: str, rows_in: int, rows_out: int, rejected: pl.DataFrame) -> Stats:
    """Stats of a bucket; an error unless rows in = rows out + rejections."""
    if rows_in != rows_out + rejected.height:
        raise AccountingError(
            f"{where}: {rows_in} rows in, but {rows_out} out and {rejected.height} rejected",
            "This is a defect of prefdata: please report it.",
        )
    counts = rejected.group_by("reason").len().sort("reason")
    return Stats(
        rows_in=rows_in,
        rows_out=rows_out,
        rejected=dict(counts.iter_rows()),
        faults=int(rejected["fault"].sum()),
    )
