"""Writing what a stage makes: its table and its dropped records, bucket by bucket, marked whole at
the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prefdata.accounting.stats import Stats, account
from prefdata.errors import AccountingError
from prefdata.records import SCHEMA_VERSION
from prefdata.tables import FileInfo, Table, TableInfo, finish, write_bucket

if TYPE_CHECKING:
    from prefdata.pipelines.stages.base import Context, Outcome, Stage


def write_outcome(context: Context, output: Table, bucket: int, outcome: Outcome) -> Stats:
    """Check that nothing is lost, write the bucket's rows and dropped records, and count them."""
    rows_out = outcome.rows.height if outcome.rows_out is None else outcome.rows_out
    where = f"{context.stage}, bucket {bucket}"
    stats = account(where, outcome.rows_in, rows_out, outcome.dropped)
    written = write_bucket(output, bucket, context.buckets, outcome.rows)
    dropped = write_bucket(context.dropped, bucket, context.buckets, outcome.dropped)
    return stats.model_copy(
        update={
            "usage": outcome.usage or {},
            "rows_written": outcome.rows.height,
            "files": {bucket: written},
            "dropped_files": {bucket: dropped},
            "policies": outcome.policies or {},
        }
    )


def finish_dropped(stage: Stage, context: Context, stats: Stats) -> None:
    """Mark the table of the stage's dropped records whole."""
    files = order_files(stats.dropped_files, context.buckets, sum(stats.dropped.values()))
    finish_table(stage, context, context.dropped, stats, files)


def order_files(files: Mapping[int, FileInfo], buckets: int, rows: int) -> list[FileInfo]:
    """The files in the order of their buckets. Raises AccountingError where a bucket was lost, or
    counted twice."""
    found = [files[bucket] for bucket in range(buckets) if bucket in files]
    if len(found) != buckets or sum(file.rows for file in found) != rows:
        raise AccountingError(
            f"{rows} rows counted in {buckets} buckets, but {sum(f.rows for f in found)} written "
            f"in {len(found)}",
            "The runner lost buckets, or repeated them: take another one with --runner.",
        )
    return found


def finish_table(
    stage: Stage, context: Context, table: Table, stats: Stats, files: list[FileInfo]
) -> None:
    """Mark a table of the stage whole, with what the stage counted."""
    models = context.params.models
    prices = {name: model.prices for name, model in models.items()}
    finish(
        table,
        TableInfo(
            record=table.record.__name__,
            schema_version=SCHEMA_VERSION,
            buckets=context.buckets,
            rows=sum(file.rows for file in files),
            rows_in=stats.rows_in,
            rows_out=stats.rows_out,
            dropped=stats.dropped,
            faults=stats.faults,
            unit=stage.unit,
            asked={
                call: usage.count_asked(prices.get(call.partition(" ")[2]))
                for call, usage in stats.usage.items()
            },
            chain=context.chain,
            files=files,
        ),
    )
