"""The rows of some prompts in every table of a run. Only the buckets that hold them are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import polars as pl

from prefdata.dataset.pointer import find_newest
from prefdata.hashing.ids import digest
from prefdata.lineage.exported import ExportedRow, read_exported
from prefdata.records import Dropped, Record
from prefdata.records.base import polars_schema
from prefdata.records.dropped import no_dropped
from prefdata.tables import Table, bucket_of, read_bucket, read_info
from prefdata.tables.catalog import DROPPING, TABLES, Catalog
from prefdata.tables.chain import Chain
from prefdata.tables.read import is_finished


@dataclass(frozen=True)
class Lineage:
    """The rows of some prompts, stage by stage.

    Attributes:
        tables: The rows of each table that was asked for, by its name in TABLES; none where there
            is no such table.
        dropped: `Dropped` rows of all stages, in the order of the stages.
        exported: The rows of the version, in the order of its exports and files.
        absent: The names of tables that there are not: their stage has not run, or is not wanted.
        chain: How the last of the tables that were read, and those before it, were made.
    """

    tables: dict[str, pl.DataFrame]
    dropped: pl.DataFrame
    exported: list[ExportedRow] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    chain: Chain = field(default_factory=dict)

    def narrow(self, prompt_id: str) -> Lineage:
        """The rows of one of the prompts."""
        return Lineage(
            {name: rows.filter(prompt_id=prompt_id) for name, rows in self.tables.items()},
            self.dropped.filter(origin=prompt_id),
            [row for row in self.exported if row.prompt_id == prompt_id],
            self.absent,
            self.chain,
        )


def read_lineage(
    data: str,
    prompt_ids: Collection[str],
    *,
    tables: Collection[str] = tuple(TABLES),
    version: str | None = None,
) -> Lineage:
    """Read all that a run has of some prompts.

    Args:
        data: The run's data folder.
        prompt_ids: The prompts' ids, whole.
        tables: The TABLES to read.
        version: The folder of the version whose rows are read; None: the newest of the run.

    Raises:
        TableError: A table is damaged, or of a schema version that is not read.
    """
    catalog, wanted = Catalog(data), pl.Series(sorted(prompt_ids), dtype=pl.String)
    found: dict[str, pl.DataFrame] = {}
    absent: list[str] = []
    chain: Chain = {}
    for name in (each for each in TABLES if each in tables):
        table = catalog.table(name, TABLES[name])
        if is_finished(table):
            found[name] = _read_rows(table, wanted, "prompt_id")
            chain |= read_info(table).chain or {}
        else:
            found[name] = _no_rows(table.record)
            absent.append(name)
    own = [catalog.dropped(stage) for stage in DROPPING]
    dropped = [_read_rows(table, wanted, "origin") for table in own if is_finished(table)]
    folder = find_newest(catalog.dataset) if version is None else version
    return Lineage(
        found,
        pl.concat([no_dropped(), *dropped]),
        read_exported(folder, wanted),
        tuple(absent),
        chain,
    )


def read_fallen(data: str, origin: str) -> list[Dropped]:
    """The dropped records of a source row that never became a prompt, by its file:row."""
    table = Catalog(data).dropped(DROPPING[0])
    info = read_info(table)
    bucket = bucket_of(digest([origin.encode()]), info.buckets)
    rows = read_bucket(table, bucket, info).filter(origin=origin)
    return [Dropped.model_validate(row) for row in rows.iter_rows(named=True)]


def list_buckets(prompt_ids: Iterable[str], buckets: int) -> list[int]:
    """The buckets in which these prompts lie, in order."""
    return sorted({bucket_of(prompt_id, buckets) for prompt_id in prompt_ids})


def _read_rows(table: Table, prompt_ids: pl.Series, column: str) -> pl.DataFrame:
    info = read_info(table)
    frames = [
        read_bucket(table, bucket, info).filter(pl.col(column).is_in(prompt_ids.implode()))
        for bucket in list_buckets(prompt_ids, info.buckets)
    ]
    return pl.concat([_no_rows(table.record), *frames])


def _no_rows(record: type[Record]) -> pl.DataFrame:
    return pl.DataFrame(schema=polars_schema(record))
