"""Segments: the files of a memo.

A segment is a Parquet file of results. The place of a prompt is the first 32 bits of its id; each
result has the range of places of the prompts that asked for it. A segment's name is
`LOW-HIGH-HASH.parquet`: the range of all its rows, in hex, so that a reader opens only segments
that can contain its keys, and the start of the content's SHA-256, so that a truncated file is never
taken for a whole one. The name of a merged segment ends in `-MERGE.parquet`, and every merge has
another suffix (compaction.py).
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import polars as pl

from prefdata.engines.base import OPERATIONS, Operation, result_schema
from prefdata.files import storage

_NAME = re.compile(r"([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{16})(?:-([0-9a-f]{8}))?\.parquet")
_PLACES = {"place_low": pl.UInt32(), "place_high": pl.UInt32()}

RACY_SECONDS = 2.0
"""A folder that changed more recently than this may have changed again within the same tick of
the file system's clock."""
REMOTE_LISTING_SECONDS = 5.0
"""How long a listing of a remote folder is reused: at worst, calls that another process added
meanwhile are made again."""
CACHE_BYTES = 128 << 20
"""The size of the remote segments that a memo keeps in memory, as they were read."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """A segment, as its name describes it; `merge` is empty if a run wrote it."""

    name: str
    low: int
    high: int
    digest: str
    merge: str

    def meets(self, low: int, high: int) -> bool:
        """Whether the segment can contain a result for a place in the range."""
        return self.low <= high and low <= self.high


def parse_name(name: str) -> Segment | None:
    """The segment of that name, or None for any other file."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    return Segment(name, int(match[1], 16), int(match[2], 16), match[3], match[4] or "")


def segment_schema(operation: Operation) -> pl.Schema:
    """The columns of a segment: the result's, without the error, and the range of places."""
    columns = {n: t for n, t in result_schema(operation).items() if n != "error"}
    return pl.Schema({**_PLACES, **columns})


def encode_segment(
    rows: pl.DataFrame, merge: str = "", group: int | None = None
) -> tuple[str, bytes]:
    """(name, content) of a segment of these rows, in their order.

    Args:
        merge: The name of the merge that writes it; empty for a run.
        group: The number of rows of a row group; None: the writer's default.
    """
    sink = io.BytesIO()
    rows.write_parquet(
        sink, compression="zstd", compression_level=1, statistics=bool(merge), row_group_size=group
    )
    content = sink.getvalue()
    low, high = rows["place_low"].min(), rows["place_high"].max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    end = f"-{merge}" if merge else ""
    return f"{low:08x}-{high:08x}-{_compute_digest(content)}{end}.parquet", content


def is_whole(segment: Segment, content: bytes) -> bool:
    """Whether the content has the digest in the segment's name."""
    return _compute_digest(content) == segment.digest


def scan_segments(operation: Operation, contents: Sequence[bytes]) -> pl.LazyFrame:
    """The rows of whole segments, in their order; columns that came later are null in old ones."""
    return pl.scan_parquet(
        cast(list[IO[bytes]], list(map(io.BytesIO, contents))),
        schema=segment_schema(operation),
        missing_columns="insert" if OPERATIONS[operation].later else "raise",
    )


def _compute_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class ContentCache:
    """The contents of the most recently used segments by path, up to CACHE_BYTES."""

    def __init__(self) -> None:
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, path: str) -> bytes | None:
        """The content, if it is cached."""
        with self._lock:
            if path in self._contents:
                self._contents.move_to_end(path)
            return self._contents.get(path)

    def put(self, path: str, content: bytes) -> None:
        """Cache a content; the least recently used ones make room."""
        with self._lock:
            self._bytes -= len(self._contents.pop(path, b""))
            self._contents[path] = content
            self._bytes += len(content)
            while self._bytes > CACHE_BYTES:
                self._bytes -= len(self._contents.popitem(last=False)[1])


class Folder:
    """The segments of one operation and model. Threads share it.

    The folder is listed again when it has changed. The contents of remote segments are cached.
    """

    def __init__(self, path: str, cache: ContentCache | None = None) -> None:
        self.path = path
        self._cache = cache or ContentCache()
        self._lock = threading.Lock()
        self._remote = storage.is_remote(path)
        self._listed: dict[str, Segment | None] = {}
        self._good: float = -1
        self.left_out: set[str] = set()

    def list_segments(self, fresh: bool = False) -> list[Segment]:
        """The segments, sorted by name; `fresh`: list the folder again in any case."""
        state = time.monotonic() if self._remote else self._read_change_time()
        with self._lock:
            listed, good = self._listed, self._good
        if fresh or (state > good if self._remote else state != good):
            names = storage.list_names(self.path)
            listed = {name: listed[name] if name in listed else parse_name(name) for name in names}
            if self._remote:
                good = state + REMOTE_LISTING_SECONDS
            else:
                good = state if time.time() - state > RACY_SECONDS else -1
            with self._lock:
                self._listed, self._good = listed, good
        return [segment for segment in listed.values() if segment is not None]

    def add(self, name: str, content: bytes) -> None:
        """Write a segment."""
        storage.write_bytes(storage.join(self.path, name), content, setting="memo")
        if self._remote:
            # A local folder's change time shows the new segment by itself.
            with self._lock:
                self._listed = dict(sorted({**self._listed, name: parse_name(name)}.items()))

    def read(self, segments: Sequence[Segment]) -> list[bytes | None]:
        """The content of each segment; None if it is gone, b"" and a warning if it is damaged."""
        paths = [storage.join(self.path, segment.name) for segment in segments]
        contents = [self._cache.get(path) if self._remote else None for path in paths]
        wanted = [n for n, content in enumerate(contents) if content is None]
        for n, content in zip(wanted, storage.read_many([paths[n] for n in wanted]), strict=True):
            if content is not None and not is_whole(segments[n], content):
                self.leave_out(segments[n], "is damaged: its content is not what its name says")
                content = b""
            elif content is not None and self._remote:
                self._cache.put(paths[n], content)
            contents[n] = content
        return contents

    def leave_out(self, segment: Segment, what: str) -> None:
        """Warn, once, that a segment is left out, and why."""
        if segment.name in self.left_out:
            return
        self.left_out.add(segment.name)
        logger.warning(
            "%s %s. It is left out, and its requests are asked again; remove it.",
            storage.join(self.path, segment.name),
            what,
        )

    def _read_change_time(self) -> float:
        """When the local folder last changed."""
        try:
            return Path(self.path).stat().st_mtime_ns / 1e9
        except (FileNotFoundError, NotADirectoryError):
            return 0
