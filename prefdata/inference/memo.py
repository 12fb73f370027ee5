"""The memo: every finished model call, kept by its content key.

Append-only Parquet segments under MEMO/OPERATION/MODEL/, each written whole or not at all. A
segment's name carries the range of places (the first 32 bits of the prompt ids) that its rows
belong to, so that a bucket's reader opens only the segments that can hold its keys. The place is
where to look and no part of the key: tables can be bucketed anew and nothing is asked again.
"""

from __future__ import annotations

import hashlib
import io
import re

import polars as pl

from prefdata.engines.base import Operation, result_schema
from prefdata.tables import storage

_SEGMENT = re.compile(r"([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{16}\.parquet")


class Memo:
    """A memo folder, on local disk or any fsspec URL."""

    def __init__(self, root: str) -> None:
        self.root = root

    def lookup(self, operation: Operation, model: str, wanted: pl.DataFrame) -> pl.DataFrame:
        """The finished results among `wanted` (columns key, place), one row a key."""
        schema = result_schema(operation)
        if not wanted.height:
            return pl.DataFrame(schema=schema)
        folder = self._folder(operation, model)
        low, high = _range(wanted)
        keys = wanted.select("key").unique()
        found = []
        for name in storage.list_names(folder):
            if not _overlaps(name, low, high):
                continue
            content = storage.read_bytes(storage.join(folder, name))
            if content is None:
                continue
            rows = pl.read_parquet(io.BytesIO(content), use_statistics=False)
            found.append(rows.join(keys, on="key", how="semi"))
        if not found:
            return pl.DataFrame(schema=schema)
        error = pl.lit(None, dtype=pl.String).alias("error")
        return (
            pl.concat(found).unique("key", keep="first").with_columns(error).select(schema.names())
        )

    def commit(
        self, operation: Operation, model: str, results: pl.DataFrame, places: pl.DataFrame
    ) -> None:
        """Keep the results that have no error. `places` maps key to place."""
        rows = results.filter(pl.col("error").is_null()).drop("error")
        if not rows.height:
            return
        low, high = _range(rows.select("key").join(places, on="key"))
        rows = rows.sort("key")
        sink = io.BytesIO()
        rows.write_parquet(sink, compression="zstd", compression_level=1, statistics=False)
        content = sink.getvalue()
        name = f"{low:08x}-{high:08x}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
        storage.write_bytes(storage.join(self._folder(operation, model), name), content)

    def _folder(self, operation: Operation, model: str) -> str:
        return storage.join(self.root, operation, model[:16])


def _range(rows: pl.DataFrame) -> tuple[int, int]:
    places = rows["place"].str.head(8)
    low, high = places.min(), places.max()
    assert isinstance(low, str)
    assert isinstance(high, str)
    return int(low, 16), int(high, 16)


def _overlaps(name: str, low: int, high: int) -> bool:
    found = _SEGMENT.fullmatch(name)
    return found is not None and int(found[1], 16) <= high and low <= int(found[2], 16)
