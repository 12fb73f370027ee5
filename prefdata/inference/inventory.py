"""The contents of a memo, counted by operation and model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.engines.base import Operation
from prefdata.files import storage
from prefdata.inference import segments

_IDENTITY = ["key", "place_low", "place_high"]


@dataclass(frozen=True)
class ModelInventory:
    """The segments of one operation and model.

    `entries` counts duplicates once; every run leaves out `unreadable` segments.
    """

    operation: Operation
    model: str
    segments: int
    bytes: int
    entries: int
    duplicates: int
    unreadable: int


def count_entries(root: str, operation: Operation, model: str) -> ModelInventory:
    """Count the segments and entries; only the keys of the rows are read."""
    path = storage.join(root, operation, model)
    files = [f for f in storage.list_files(path) if segments.parse_name(f.name)]
    identities = [pl.Series(dtype=pl.UInt64)]
    unreadable = 0
    for file in files:
        try:
            with storage.open_file(storage.join(path, file.name)) as opened:
                parquet = pq.ParquetFile(opened)
                rows = parquet.read(columns=_IDENTITY)
        except FileNotFoundError:
            # Merged into another one since it was listed.
            continue
        except (pa.ArrowException, OSError):
            unreadable += 1
            continue
        if set(parquet.schema_arrow.names) != set(segments.segment_schema(operation)):
            unreadable += 1
            continue
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)
        identities.append(frame.hash_rows())
    every = pl.concat(identities)
    return ModelInventory(
        operation,
        model,
        segments=len(files),
        bytes=sum(file.size for file in files),
        entries=every.n_unique(),
        duplicates=len(every) - every.n_unique(),
        unreadable=unreadable,
    )
