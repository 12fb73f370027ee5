"""The memo: every finished model call, kept by its content key.

A memo consists of append-only segments under MEMO/OPERATION/MODEL/, each written atomically
(segments.py). The prompt that a request belongs to only tells where to look. It is not part of the
key, so nothing is asked again when the number of buckets changes. Any number of processes may read,
write and compact a memo at once: a file is never changed, and before one is removed its entries are
merged into another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

import polars as pl
from polars.exceptions import PolarsError

from prefdata.engines.base import Operation, result_schema
from prefdata.files import storage
from prefdata.inference import segments
from prefdata.inference.segments import ContentCache, Folder, Segment
from prefdata.inference.vectors import Lengths
from prefdata.inference.versions import note_versions

READ_SEGMENTS = 32
"""The number of segments to read before searching them: reading small ones one by one is slow, and
merged ones have up to 8 MiB."""


class Memo:
    """A memo folder, on local disk or at any fsspec URL. Threads share it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._folders: dict[str, Folder] = {}
        self._cache = ContentCache()
        self._lock = threading.Lock()
        self._noted: set[tuple[str, tuple[tuple[str, str], ...]]] = set()

    def lookup(self, operation: Operation, model: str, wanted: pl.DataFrame) -> pl.DataFrame:
        """Look up finished results.

        If a key has several results, which an engine that is not deterministic can give to two
        workers, the choice among them does not depend on the order of the segments.

        Args:
            operation: The operation.
            model: The model's fingerprint.
            wanted: key, prompt_id.

        Returns:
            One row per key that the memo has.
        """
        columns = result_schema(operation)
        if not wanted.height:
            return pl.DataFrame(schema=columns)
        folder = self.folder(operation, model)
        low, high = _find_range(wanted)
        matches = _find(folder, operation, low, high, wanted["key"].unique())
        # A vector that doesn't fit the others is asked again.
        lengths = Lengths(operation)
        lengths.count(matches)
        matches = lengths.drop_others(matches)
        error = pl.lit(None, dtype=pl.String).alias("error")
        return select_distinct(matches, "key").with_columns(error).select(columns.names())

    def commit(
        self, operation: Operation, model: str, results: pl.DataFrame, prompts: pl.DataFrame
    ) -> None:
        """Write the results that have no error.

        Args:
            operation: The operation.
            model: The model's fingerprint.
            results: Finished results.
            prompts: key, prompt_id: the prompts that asked for each key.
        """
        rows = results.filter(pl.col("error").is_null()).drop("error")
        if not rows.height:
            return
        place = pl.col("prompt_id").str.head(8).str.to_integer(base=16, dtype=pl.UInt32)
        places = prompts.select("key", place_low=place, place_high=place)
        # Most requests are of one prompt each.
        if places["key"].n_unique() < places.height:
            places = places.group_by("key").agg(
                pl.col("place_low").min(), pl.col("place_high").max()
            )
        entries = rows.join(places, on="key").sort("place_low", "key")
        name, content = segments.encode_segment(
            entries.select(segments.segment_schema(operation).names())
        )
        self.folder(operation, model).add(name, content)

    def note_versions(self, model: str, versions: Mapping[str, str]) -> None:
        """Keep what answers for a model, by its fingerprint; see `prefdata.inference.versions`."""
        noted = (model, tuple(sorted(versions.items())))
        if noted not in self._noted:
            note_versions(self.root, model, versions)
            self._noted.add(noted)

    def folder(self, operation: Operation, model: str) -> Folder:
        """The segments of an operation and a model, by its fingerprint."""
        path = storage.join(self.root, operation, model[:16])
        with self._lock:
            if path not in self._folders:
                self._folders[path] = Folder(path, self._cache)
            return self._folders[path]


def select_distinct(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """One row per value of `by`: the first by content, which no merge of segments changes."""
    if rows.select(by).n_unique() == rows.height:
        return rows
    values = [name for name in rows.columns if not name.startswith("place_")]
    return rows.sort(values).unique(by, keep="first", maintain_order=True)


def _find(
    folder: Folder, operation: Operation, low: int, high: int, keys: pl.Series
) -> pl.DataFrame:
    """All rows with one of the keys, from the segments that overlap the range."""
    gone: set[str] = set()
    while True:
        listed = folder.list_segments(fresh=bool(gone))
        # A segment that is missing twice is a name without a file, such as a dangling link.
        meeting = [s for s in listed if s.meets(low, high) and s.name not in gone]
        matches = [pl.DataFrame(schema=segments.segment_schema(operation))]
        missing: set[str] = set()
        for batch in _slice(meeting):
            contents = folder.read(batch)
            missing |= {s.name for s, c in zip(batch, contents, strict=True) if c is None}
            if missing:
                break
            condition = pl.col("key").is_in(keys.implode())
            matches += select_rows(folder, operation, batch, contents, condition)
        if not missing:
            return pl.concat(matches)
        # It was merged into another segment after the listing, so list again.
        gone |= missing


def select_rows(
    folder: Folder,
    operation: Operation,
    batch: Sequence[Segment],
    contents: Sequence[bytes | None],
    condition: pl.Expr,
) -> Iterator[pl.DataFrame]:
    """The rows that meet the condition; unreadable segments are left out with a warning."""
    pairs = [(s, c) for s, c in zip(batch, contents, strict=True) if c]
    if not pairs:
        return
    try:
        yield segments.scan_segments(operation, [c for _, c in pairs]).filter(condition).collect()
    except PolarsError as error:
        if len(pairs) == 1:
            folder.leave_out(pairs[0][0], f"can't be read: {str(error).splitlines()[0]}")
            return
        for segment, content in pairs:
            yield from select_rows(folder, operation, [segment], [content], condition)


def _slice(listed: Sequence[Segment]) -> Iterator[Sequence[Segment]]:
    for start in range(0, len(listed), READ_SEGMENTS):
        yield listed[start : start + READ_SEGMENTS]


def _find_range(rows: pl.DataFrame) -> tuple[int, int]:
    places = rows["prompt_id"].str.head(8)
    low, high = places.min(), places.max()
    assert isinstance(low, str)
    assert isinstance(high, str)
    return int(low, 16), int(high, 16)
