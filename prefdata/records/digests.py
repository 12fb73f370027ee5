"""Digests of rows: the same content has the same digest, however the frame came to be.

Rows are hashed from their Arrow buffers: a judge's prompts are far larger than all tables
together, and copying them into Python strings first would cost more than the hashing. Every part
goes in with its length, so that no two rows read alike.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence

import polars as pl
import pyarrow as pa

_LENGTH = struct.Struct("<q")

Update = Callable[["hashlib._Hash", int], None]


def row_digests(rows: pl.DataFrame, columns: Sequence[str], *context: str) -> list[bytes]:
    """SHA-256 of the named columns of each row, after the `context` that all rows share."""
    base = hashlib.sha256()
    for part in context:
        base.update(_LENGTH.pack(len(part.encode())) + part.encode())
    arrow = rows.select(columns).rechunk().to_arrow()
    updates = [_updater(_whole(arrow.column(name))) for name in columns]
    digests = []
    for row in range(rows.height):
        state = base.copy()
        for update in updates:
            update(state, row)
        digests.append(state.digest())
    return digests


def _whole(column: pa.ChunkedArray) -> pa.Array:
    chunk: pa.Array = column.combine_chunks()
    return chunk.chunk(0) if isinstance(chunk, pa.ChunkedArray) else chunk


def _updater(column: pa.Array) -> Update:
    """A function that feeds one row of the column to a hash."""
    kind = column.type
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        offsets = column.offsets.to_pylist()
        item = _updater(column.values)

        def list_item(state: hashlib._Hash, row: int) -> None:
            start, end = offsets[row], offsets[row + 1]
            state.update(_LENGTH.pack(end - start))
            for position in range(start, end):
                item(state, position)

        return list_item
    if pa.types.is_struct(kind):
        fields = [_updater(column.field(i)) for i in range(kind.num_fields)]

        def struct_item(state: hashlib._Hash, row: int) -> None:
            for field in fields:
                field(state, row)

        return struct_item
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _string_updater(column)
    return _scalar_updater(column.to_pylist())


def _string_updater(column: pa.Array) -> Update:
    if column.null_count:
        raise ValueError("a request's text may not be null")
    width = 8 if pa.types.is_large_string(column.type) else 4
    _, offset_buffer, data = column.buffers()
    code = "q" if width == 8 else "i"
    view = memoryview(offset_buffer).cast("B")[: (column.offset + len(column) + 1) * width]
    offsets = view.cast(code).tolist()[column.offset :]
    text = memoryview(data if data is not None else b"")

    def string_item(state: hashlib._Hash, row: int) -> None:
        start, end = offsets[row], offsets[row + 1]
        state.update(_LENGTH.pack(end - start))
        state.update(text[start:end])

    return string_item


def _scalar_updater(values: list[object]) -> Update:
    encoded = [repr(value).encode() for value in values]

    def scalar_item(state: hashlib._Hash, row: int) -> None:
        state.update(_LENGTH.pack(len(encoded[row])) + encoded[row])

    return scalar_item
