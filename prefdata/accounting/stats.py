"""What a stage counts, bucket by bucket, and the check that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import polars as pl
from pydantic import BaseModel

from prefdata.accounting.figure import Figure
from prefdata.accounting.judges import JudgeCounts
from prefdata.accounting.probe import Probe
from prefdata.errors import AccountingError
from prefdata.files import storage
from prefdata.files.json_files import write_model
from prefdata.inference.usage import Usage
from prefdata.tables import FileInfo, Reused
from prefdata.tables.catalog import Catalog


class PartStats(BaseModel):
    """Counts of one filter or export, in its unit."""

    rows_in: int = 0
    rows_out: int = 0
    dropped: dict[str, int] = {}
    figures: list[Figure] = []

    def plus(self, other: PartStats) -> PartStats:
        """The sum of both. Figures are concatenated: a filter reports them once."""
        return PartStats(
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            dropped=_add_counts(self.dropped, other.dropped),
            figures=[*self.figures, *other.figures],
        )


class Stats(BaseModel):
    """Counts of a bucket or, added up, of a stage.

    `rows_in` and `rows_out` are in the stage's unit, `rows_written` in rows of its table. `files`
    and `dropped_files` are those of its table and of its dropped records, by bucket.
    `dropped_values` are null columns of rows that stay, by column and reason.
    `digests`, `shards`, `structure` and `exports` are the stage export's: the first two by file,
    the others by export: what its rows hold of tools, calls and thoughts, and its counts. `filters`
    are the filter stage's, by position and kind; `unread` are the fields of the sources' rows that
    the stage ingest did not read, by source; `policies` are the samples by policy, where there are
    several; `judges` are the judge stage's; `reused` is what the stage generate took over from an
    earlier round, by policy; `probe` is the stage export's.
    """

    rows_in: int = 0
    rows_out: int = 0
    rows_written: int = 0
    files: dict[int, FileInfo] = {}
    dropped_files: dict[int, FileInfo] = {}
    dropped: dict[str, int] = {}
    dropped_values: dict[str, int] = {}
    faults: int = 0
    usage: dict[str, Usage] = {}
    digests: dict[str, str] = {}
    shards: dict[str, int] = {}
    structure: dict[str, list[str]] = {}
    exports: dict[str, PartStats] = {}
    filters: dict[str, PartStats] = {}
    unread: dict[str, list[str]] = {}
    policies: dict[str, int] = {}
    judges: dict[str, JudgeCounts] = {}
    reused: dict[str, Reused] = {}
    probe: Probe | None = None

    def plus(self, other: Stats) -> Stats:
        """The sum of both."""
        return Stats(
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            rows_written=self.rows_written + other.rows_written,
            files={**self.files, **other.files},
            dropped_files={**self.dropped_files, **other.dropped_files},
            dropped=_add_counts(self.dropped, other.dropped),
            dropped_values=_add_counts(self.dropped_values, other.dropped_values),
            faults=self.faults + other.faults,
            usage=add_usage(self.usage, other.usage),
            digests={**self.digests, **other.digests},
            shards={**self.shards, **other.shards},
            structure={**self.structure, **other.structure},
            exports=_add_parts(self.exports, other.exports, sorted),
            filters=_add_parts(
                self.filters, other.filters, lambda names: sorted(names, key=_position)
            ),
            unread={**self.unread, **other.unread},
            policies=_add_counts(self.policies, other.policies),
            judges={
                name: self.judges.get(name, JudgeCounts()).plus(
                    other.judges.get(name, JudgeCounts())
                )
                for name in sorted({*self.judges, *other.judges})
            },
            reused=add_reused(self.reused, other.reused),
            probe=self.probe or other.probe,
        )


def add_usage(one: dict[str, Usage], other: dict[str, Usage]) -> dict[str, Usage]:
    """The sum of both, call by call."""
    calls = sorted({*one, *other})
    return {call: one.get(call, Usage()).plus(other.get(call, Usage())) for call in calls}


def add_reused(one: dict[str, Reused], other: dict[str, Reused]) -> dict[str, Reused]:
    """The sum of both, policy by policy."""
    policies = sorted({*one, *other})
    return {name: one.get(name, Reused()).plus(other.get(name, Reused())) for name in policies}


def sum_stats(stats: Iterable[Stats]) -> Stats:
    """The sum of all."""
    sums = list(stats)
    # Neighbours first: adding each to all before it would copy what they name, such as their files,
    # as many times as there are buckets.
    while len(sums) > 1:
        paired = [one.plus(other) for one, other in zip(sums[::2], sums[1::2], strict=False)]
        sums = [*paired, *sums[2 * len(paired) :]]
    return sums[0] if sums else Stats()


def account(where: str, rows_in: int, rows_out: int, dropped: pl.DataFrame) -> Stats:
    """The counts of a bucket. Raises AccountingError unless rows in = rows out + dropped."""
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


def account_values(values: pl.DataFrame) -> Stats:
    """The counts of a bucket's dropped values; a pair with several at fault is one fault.

    Args:
        values: pair_id, column, reason and fault, one row per value.
    """
    named = pl.format("{}: {}", "column", "reason").alias("named")
    counts = values.group_by(named).len().sort("named")
    return Stats(
        dropped_values=dict(counts.iter_rows()),
        faults=values.filter("fault")["pair_id"].n_unique(),
    )


def write_stats(catalog: Catalog, stage: str, stats: Stats) -> None:
    """Write the counts of a stage's run."""
    write_model(catalog.stats_path(stage), stats)


def read_stats(catalog: Catalog, stage: str) -> Stats | None:
    """The counts of a stage's last run; None where it has not run."""
    content = storage.read_bytes(catalog.stats_path(stage))
    return None if content is None else Stats.model_validate_json(content)


def _add_parts(
    one: dict[str, PartStats],
    other: dict[str, PartStats],
    order: Callable[[Iterable[str]], list[str]],
) -> dict[str, PartStats]:
    none = PartStats()
    names = order({**one, **other})
    return {name: one.get(name, none).plus(other.get(name, none)) for name in names}


def _position(filter_name: str) -> int:
    return int(filter_name.split()[0])


def _add_counts(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted({*one, *other})}
