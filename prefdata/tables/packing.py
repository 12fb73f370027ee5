"""Frames as shuffled values: compressed Arrow IPC, few keys and large values.

A runner keeps what it shuffles in memory. Pickling a slice of an Arrow batch would copy the whole
batch, and shuffling rows one by one costs a hundred times as much.
"""

from __future__ import annotations

import io
from typing import Literal

import polars as pl


def pack(
    frame: pl.DataFrame, compression: Literal["zstd", "lz4", "uncompressed"] = "zstd"
) -> bytes:
    """The frame as bytes: small for a network, by lz4 for a file of this machine. What goes to
    another process at once is better not compressed: that takes half the time that pickling does.
    """
    sink = io.BytesIO()
    frame.write_ipc(sink, compression=compression)
    return sink.getvalue()


def unpack(content: bytes) -> pl.DataFrame:
    """The frame from its bytes."""
    return pl.read_ipc(io.BytesIO(content))
