"""Merging a memo's segments into few, sorted by the places of their prompts, without duplicates.

It can be killed at any point, and is safe beside runs that read and write and beside another merge:

- All merged segments are written before any of the segments they replace is removed, so every
  entry is in some segment at every moment.
- A merged segment has a name that no earlier merge used. So a merge that listed the folder
  earlier does not remove it.
- SETTLE_SECONDS pass between writing and removing, so that a reader that was listing the folder
  meanwhile is done. A reader that finds a segment gone lists the folder again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from prefdata.engines.base import OPERATIONS, Operation
from prefdata.errors import StorageError
from prefdata.files import storage
from prefdata.inference import segments
from prefdata.inference.memo import READ_SEGMENTS, select_distinct, select_rows
from prefdata.inference.segments import Folder, Segment

SEGMENT_BYTES = 16 << 20
"""The size of a merged segment in memory: about that of a bucket of a thousand prompts."""
RANGE_BYTES = 128 << 20
"""The size of the rows that are merged at once, in memory."""
ROW_GROUPS = 4
"""The number of row groups of a merged segment: a reader of a few places can skip the others."""
SETTLE_SECONDS = 5.0
STALE_SECONDS = 3600.0
"""A temporary file this old belongs to no writer that is still running."""
TRIES = 5


@dataclass
class Merged:
    """The result of merging the segments of one operation and model; bytes are those on disk."""

    operation: Operation
    model: str
    segments_before: int
    bytes_before: int
    segments_after: int = 0
    bytes_after: int = 0
    entries: int = 0
    duplicates: int = 0
    replaced: list[str] = field(default_factory=list)


def list_models(root: str) -> Iterator[tuple[Operation, str]]:
    """(operation, first 16 characters of the model's fingerprint) of everything in the memo."""
    for operation in OPERATIONS:
        for model in storage.list_names(storage.join(root, operation)):
            yield operation, model


def compact(root: str, chosen: Sequence[tuple[Operation, str]]) -> list[Merged]:
    """Merge the segments of each operation and model."""
    merges = [_merge(root, operation, model) for operation, model in chosen]
    if any(merge.replaced for merge in merges):
        time.sleep(SETTLE_SECONDS)
    for merge in merges:
        path = storage.join(root, merge.operation, merge.model)
        for name in merge.replaced:
            storage.remove(storage.join(path, name), setting="memo")
        storage.remove_stale(path, STALE_SECONDS)
    return merges


def _merge(root: str, operation: Operation, model: str) -> Merged:
    """Write the merged segments of one folder, and list those that they replace."""
    path = storage.join(root, operation, model)
    for _ in range(TRIES):
        done = _write_merged(Folder(path), operation, model)
        if done is not None:
            return done
    raise StorageError(
        f"{path}: its segments go away while they are read: another `prefdata memo compact` is "
        "running",
        "Wait for it to end.",
    )


def _write_merged(folder: Folder, operation: Operation, model: str) -> Merged | None:
    """Write the merged segments of a folder; None if a segment was removed meanwhile."""
    sizes = {file.name: file.size for file in storage.list_files(folder.path)}
    listed = [s for s in map(segments.parse_name, sizes) if s is not None]
    total = sum(sizes[s.name] for s in listed)
    done = Merged(operation, model, len(listed), total, len(listed), total)
    if len({s.merge for s in listed}) == 1 and (len(listed) == 1 or listed[0].merge):
        # All come from one merge: nothing was added since.
        return done
    merge = secrets.token_hex(4)
    read = written = 0
    new: dict[str, int] = {}
    for low, high in _split_range(folder, operation, listed, sizes):
        meeting = [s for s in listed if s.meets(low, high)]
        inside = pl.col("place_low").is_between(low, high)
        rows = _read(folder, operation, meeting, inside)
        if rows is None:
            return None
        entries = select_distinct(rows, "key", "place_low", "place_high").sort("place_low", "key")
        read, written = read + rows.height, written + entries.height
        # An entry that several prompts asked for would widen the range of its whole segment.
        narrow = pl.col("place_low") == pl.col("place_high")
        for group_entries in (entries.filter(narrow), entries.filter(~narrow)):
            for piece in _cut_evenly(group_entries):
                group = -(-piece.height // ROW_GROUPS)
                name, content = segments.encode_segment(piece, merge, group)
                folder.add(name, content)
                new[name] = len(content)
    done.entries, done.duplicates = written, read - written
    done.replaced = [s.name for s in listed if s.name not in folder.left_out]
    left = [s.name for s in listed if s.name in folder.left_out]
    done.segments_after = len(new) + len(left)
    done.bytes_after = sum(new.values()) + sum(sizes[name] for name in left)
    return done


def _split_range(
    folder: Folder, operation: Operation, listed: Sequence[Segment], sizes: dict[str, int]
) -> Iterator[tuple[int, int]]:
    """Ranges of places that together cover all, each with at most about RANGE_BYTES of rows."""
    sample = listed[:: max(1, len(listed) // 8)]
    rows = _read(folder, operation, sample, pl.lit(True))
    compressed = sum(sizes[s.name] for s in sample)
    inflated = rows.estimated_size() / compressed if rows is not None and compressed else 1.0
    estimate = inflated * sum(sizes[s.name] for s in listed)
    count = 1
    while count * RANGE_BYTES < estimate:
        count *= 2
    width = (1 << 32) // count
    for number in range(count):
        yield number * width, (number + 1) * width - 1


def _read(
    folder: Folder, operation: Operation, listed: Sequence[Segment], condition: pl.Expr
) -> pl.DataFrame | None:
    """The rows that meet the condition; None if a segment is gone."""
    rows = [pl.DataFrame(schema=segments.segment_schema(operation))]
    for start in range(0, len(listed), READ_SEGMENTS):
        batch = listed[start : start + READ_SEGMENTS]
        read = folder.read(batch)
        if any(content is None for content in read):
            return None
        rows += select_rows(folder, operation, batch, read, condition)
    return pl.concat(rows)


def _cut_evenly(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Pieces of about SEGMENT_BYTES, with about the same number of rows each."""
    if not rows.height:
        return
    count = max(1, round(rows.estimated_size() / SEGMENT_BYTES))
    yield from rows.iter_slices(-(-rows.height // count))
