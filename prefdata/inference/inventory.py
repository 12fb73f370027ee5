"""The contents of a memo, counted by operation and model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from polars.exceptions import PolarsError

from prefdata.engines.base import Operation
from prefdata.files import storage
from prefdata.inference import segments
from prefdata.inference.segments import Segment

_IDENTITY = ["key", "place_low", "place_high"]


@dataclass(frozen=True)
class ModelInventory:
    """The segments of one operation and model.

    `entries` counts duplicates once. `damaged` names the segments that are not whole, which every
    run leaves out; no other figure counts them.
    """

    operation: Operation
    model: str
    segments: int
    bytes: int
    entries: int
    duplicates: int
    damaged: list[str]


def count_entries(root: str, operation: Operation, model: str) -> ModelInventory:
    """Count the segments and entries. Every segment is read, and compared with its digest."""
    path = storage.join(root, operation, model)
    listed = [s for s in map(segments.parse_name, storage.list_names(path)) if s is not None]
    identities = [pl.Series(dtype=pl.UInt64)]
    damaged, size = [], 0
    for segment in listed:
        content = storage.read_bytes(storage.join(path, segment.name))
        if content is None:
            # Merged into another one since it was listed.
            continue
        hashes = _hash_rows(operation, segment, content)
        if hashes is None:
            damaged.append(segment.name)
        else:
            identities.append(hashes)
            size += len(content)
    every = pl.concat(identities)
    return ModelInventory(
        operation,
        model,
        segments=len(identities) - 1,
        bytes=size,
        entries=every.n_unique(),
        duplicates=len(every) - every.n_unique(),
        damaged=damaged,
    )


def _hash_rows(operation: Operation, segment: Segment, content: bytes) -> pl.Series | None:
    """A hash of the identity of each entry; None where a run could not read the segment."""
    if not segments.is_whole(segment, content):
        return None
    scanned = segments.scan_segments(operation, [content])
    try:
        return scanned.collect().select(_IDENTITY).hash_rows()
    except PolarsError:
        return None
