"""Segments: the files that a memo consists of.

A segment is a Parquet file of results, each with the range of places that asked for it. Its name
is `LOW-HIGH-HASH.parquet`: the range of places of all its rows (the first 32 bits of prompt ids,
in hex), so that a reader opens only what can hold its keys, and the SHA-256 of its content, so
that half a file is never taken for a whole one. A merged segment's name ends in `-MERGE.parquet`,
another one for every merge (see compaction.py).
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
from typing import IO, ClassVar, cast

import polars as pl

from prefdata.engines.base import Operation, result_schema
from prefdata.files import storage

_NAME = re.compile(r"([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{16})(?:-([0-9a-f]{8}))?\.parquet")
_PLACES = {"place_low": pl.UInt32(), "place_high": pl.UInt32()}

RACY_SECONDS = 2.0
"""A folder that changed more recently than this may have changed again within the same tick of
the file system's clock."""
REMOTE_LISTING_SECONDS = 5.0
"""For so long a listing of a remote folder is believed: what another process added meanwhile is
asked again, at worst."""
CACHE_BYTES = 128 << 20
"""Remote segments that a process keeps, in bytes as they were read."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """A segment by its name; `merge` is empty for what a run wrote."""

    name: str
    low: int
    high: int
    digest: str
    merge: str

    def meets(self, low: int, high: int) -> bool:
        """Whether it can hold a result for a place in the range."""
        return self.low <= high and low <= self.high


def parse(name: str) -> Segment | None:
    """The segment of that name, or None for any other file."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    return Segment(name, int(found[1], 16), int(found[2], 16), found[3], found[4] or "")


def schema(operation: Operation) -> pl.Schema:
    """The columns of a segment: the result's, without the error, and the range of places."""
    columns = {n: t for n, t in result_schema(operation).items() if n != "error"}
    return pl.Schema({**_PLACES, **columns})


def encode(rows: pl.DataFrame, merge: str = "", group: int | None = None) -> tuple[str, bytes]:
    """(name, content) of a segment of these rows, which are not sorted again."""
    sink = io.BytesIO()
    rows.write_parquet(
        sink, compression="zstd", compression_level=1, statistics=bool(merge), row_group_size=group
    )
    content = sink.getvalue()
    low, high = rows["place_low"].min(), rows["place_high"].max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    end = f"-{merge}" if merge else ""
    return f"{low:08x}-{high:08x}-{_digest(content)}{end}.parquet", content


def whole(segment: Segment, content: bytes) -> bool:
    """Whether the content is what the segment's writer wrote."""
    return _digest(content) == segment.digest


def scan(operation: Operation, contents: Sequence[bytes]) -> pl.LazyFrame:
    """The rows of whole segments, in their order."""
    return pl.scan_parquet(
        cast(list[IO[bytes]], list(map(io.BytesIO, contents))), schema=schema(operation)
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class Folder:
    """The segments of one operation and model. Threads of a process share it.

    The listing is taken again when the folder changed, and the segments of a remote folder are
    kept, the last used ones, as far as CACHE_BYTES go.
    """

    _folders: ClassVar[dict[str, Folder]] = {}
    _lock = threading.Lock()

    def __init__(self, path: str) -> None:
        self.path = path
        self._remote = storage.is_remote(path)
        self._listed: dict[str, Segment | None] = {}
        self._good: float = -1
        self.left_out: set[str] = set()

    @classmethod
    def at(cls, path: str) -> Folder:
        """The folder that all of this process share."""
        with cls._lock:
            return cls._folders.setdefault(path, cls(path))

    def segments(self, fresh: bool = False) -> list[Segment]:
        """What is there, sorted by name; `fresh`: whatever was seen before."""
        state = time.monotonic() if self._remote else self._changed()
        with self._lock:
            listed, good = self._listed, self._good
        if fresh or (state > good if self._remote else state != good):
            names = storage.list_names(self.path)
            listed = {name: listed[name] if name in listed else parse(name) for name in names}
            if self._remote:
                good = state + REMOTE_LISTING_SECONDS
            else:
                good = state if time.time() - state > RACY_SECONDS else -1
            with self._lock:
                self._listed, self._good = listed, good
        return [segment for segment in listed.values() if segment is not None]

    def add(self, name: str, content: bytes) -> None:
        """Put a segment in its place."""
        storage.write_bytes(storage.join(self.path, name), content)
        if self._remote:
            # A local folder shows by its time that it changed.
            with self._lock:
                self._listed = dict(sorted({**self._listed, name: parse(name)}.items()))

    def read(self, segments: Sequence[Segment]) -> list[bytes | None]:
        """The content of each; None where it is gone, b"" where it is damaged, which is said."""
        paths = [storage.join(self.path, segment.name) for segment in segments]
        kept = [_cache.get(path) if self._remote else None for path in paths]
        wanted = [n for n, content in enumerate(kept) if content is None]
        for n, content in zip(wanted, storage.read_many([paths[n] for n in wanted]), strict=True):
            if content is not None and not whole(segments[n], content):
                self.leave_out(segments[n], "is damaged: its content is not what its name says")
                content = b""
            elif content is not None and self._remote:
                _cache.put(paths[n], content)
            kept[n] = content
        return kept

    def leave_out(self, segment: Segment, what: str) -> None:
        """Say, once, that a segment is left out, and why."""
        if segment.name in self.left_out:
            return
        self.left_out.add(segment.name)
        logger.warning(
            "%s %s. It is left out, and its requests are asked again; remove it.",
            storage.join(self.path, segment.name),
            what,
        )

    def _changed(self) -> float:
        """When the local folder last changed."""
        try:
            return Path(self.path).stat().st_mtime_ns / 1e9
        except (FileNotFoundError, NotADirectoryError):
            return 0


class _Cache:
    """Contents by path, the last used ones, as far as CACHE_BYTES go."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, path: str) -> bytes | None:
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
            return self._kept.get(path)

    def put(self, path: str, content: bytes) -> None:
        with self._lock:
            self._bytes -= len(self._kept.pop(path, b""))
            self._kept[path] = content
            self._bytes += len(content)
            while self._bytes > CACHE_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])


_cache = _Cache()
