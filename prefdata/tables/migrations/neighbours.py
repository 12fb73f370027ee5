"""What lies beside a bucket that is migrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from prefdata.records.base import Record
from prefdata.tables.layout import Table, TableInfo


@dataclass(frozen=True)
class Neighbours:
    """The table of a bucket, and the tables beside it in the same data folder.

    Attributes:
        folder: The table's folder, for errors.
        read_info: Reads the table's description.
        read: Reads the same bucket of another table, given by its name and record.
    """

    folder: str
    read_info: Callable[[], TableInfo]
    read: Callable[[str, type[Record]], pl.DataFrame]


def find_beside(table: Table, name: str, record: type[Record]) -> Table:
    """The table of this name in the same data folder."""
    parent, slash, _ = table.folder.rstrip("/").rpartition("/")
    return Table(f"{parent}{slash}{name}", record)
