"""Copies of files with some of their rows, in the file's own format, compression and columns."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable, Mapping, Sequence

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prefdata.files.rows import format_of, is_array, read_rows, read_table

# Without a timestamp: the same rows give the same bytes.
_PACK: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: bytes(pa.Codec("zstd").compress(content, asbytes=True)),
}


def copy_rows(path: str, places: Sequence[int], extra: pl.DataFrame | None = None) -> bytes:
    """The content of a copy of a JSONL, JSON or Parquet file.

    Lines of JSONL stay byte for byte as they are, and a Parquet file keeps its schema, unless
    there are new columns.

    Args:
        path: The file.
        places: The rows to copy, ascending, counted from 0 over those of `read_rows`.
        extra: New columns, one row for each of `places`.
    """
    if format_of(path) == "parquet":
        content = copy_table(read_table(path), places, extra)
    else:
        wanted = set(places)
        rows = [row for place, row in enumerate(read_rows(path)) if place in wanted]
        more = [{}] * len(rows) if extra is None else extra.to_dicts()
        if is_array(path, format_of(path)):
            values = [{**row.value, **new} for row, new in zip(rows, more, strict=True)]
            content = orjson.dumps(values, option=orjson.OPT_INDENT_2) + b"\n"
        else:
            lines = [
                orjson.dumps({**row.value, **new}) if new else row.raw or b""
                for row, new in zip(rows, more, strict=True)
            ]
            content = b"".join(line + b"\n" for line in lines)
    pack = _PACK.get(os.path.splitext(path)[1].lower())
    return pack(content) if pack else content


def copy_table(table: pa.Table, places: Sequence[int], extra: pl.DataFrame | None = None) -> bytes:
    """Parquet of some of the table's rows; the arguments are those of `copy_rows`."""
    rows = table.take(pa.array(places, pa.int64()))
    if extra is not None:
        for column in extra.get_columns():
            rows = rows.append_column(column.name, column.to_arrow())
        # `datasets` lists the columns in the metadata; with new columns its list is incomplete.
        rows = rows.replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd")
    return sink.getvalue()
