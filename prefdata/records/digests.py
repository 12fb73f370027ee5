"""Digests of rows: the same content has the same digest, however the frame came to be.

A row is encoded so that no two rows encode alike: a text as its length and its bytes (its SHA-256
where it is long), a list as its length and its items, a struct as its fields. Texts are hashed
where they lie in the Arrow buffers: a judge's prompts are far larger than all tables together,
and copying them into Python strings first would cost more than the hashing.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa

_LENGTH = struct.Struct("<q")
_SHORT = 32
"""Texts below this many bytes are encoded as they are; a digest would be longer."""


def row_digests(rows: pl.DataFrame, columns: Sequence[str], *context: str) -> list[bytes]:
    """SHA-256 of the named columns of each row, after the `context` that all rows share."""
    base = hashlib.sha256(b"".join(_text(part.encode()) for part in context))
    digests = []
    # Batch by batch as the frame's chunks lie: joining them would copy all text once more.
    for batch in rows.select(columns).to_arrow().to_batches():
        for parts in zip(*(_encode(column) for column in batch.columns), strict=True):
            state = base.copy()
            state.update(b"".join(parts))
            digests.append(state.digest())
    return digests


def _encode(column: pa.Array) -> list[bytes]:
    """The encoding of every row of the column."""
    kind = column.type
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        if column.null_count:
            raise ValueError("a row that is hashed may not hold a null list")
        # flatten() gives the items of this slice alone, the offsets count from the whole's first.
        items = _encode(column.flatten())
        offsets = column.offsets.to_pylist()
        first = offsets[0] if offsets else 0
        return [
            _LENGTH.pack(end - start) + b"".join(items[start - first : end - first])
            for start, end in pairwise(offsets)
        ]
    if pa.types.is_struct(kind):
        fields = [_encode(field) for field in column.flatten()]
        return [b"".join(parts) for parts in zip(*fields, strict=True)]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _encode_texts(column)
    return [_text(repr(value).encode()) for value in column.to_pylist()]


def _encode_texts(column: pa.Array) -> list[bytes]:
    if column.null_count:
        raise ValueError("a row that is hashed may not hold a null text")
    width = np.int64 if pa.types.is_large_string(column.type) else np.int32
    _, offset_buffer, data = column.buffers()
    first, last = column.offset, column.offset + len(column) + 1
    offsets = np.frombuffer(offset_buffer, dtype=width)[first:last].tolist()
    texts = memoryview(data if data is not None else b"")
    return [_text(texts[start:end]) for start, end in pairwise(offsets)]


def _text(content: bytes | memoryview) -> bytes:
    length = len(content)
    if length < _SHORT:
        return _LENGTH.pack(length) + content
    return _LENGTH.pack(length) + hashlib.sha256(content).digest()
