"""Copies of files with some of their rows: format, compression, columns and bytes stay."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefdata.files.copies import copy_rows
from prefdata.files.rows import read_rows

ROWS = [{"a": n, "b": {"c": [n]}} for n in range(4)]
LINES = b"".join(orjson.dumps(row) + b" \r\n" for row in ROWS)
PACK: dict[str, Any] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}


def reread(folder: Path, name: str, content: bytes) -> list[Any]:
    (folder / "copy").mkdir()
    (folder / "copy" / name).write_bytes(content)
    return [row.value for row in read_rows(str(folder / "copy" / name))]


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("stem", ["a.jsonl", "lines.json", "array.json"])
def test_a_copy_has_the_files_format(stem: str, ending: str, tmp_path: Path) -> None:
    content = orjson.dumps(ROWS) if stem == "array.json" else LINES
    path = tmp_path / f"{stem}{ending}"
    path.write_bytes(PACK[ending](content))
    copied = copy_rows(str(path), [1, 3])
    assert copied == copy_rows(str(path), [1, 3])
    assert reread(tmp_path, path.name, copied) == [ROWS[1], ROWS[3]]
    if path.name == "a.jsonl":
        lines = LINES.split(b"\r\n")
        assert copied == lines[1] + b"\n" + lines[3] + b"\n"


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.jsonl.gz", "lines.json", "array.json", "array.json.zst", "a.parquet"]
)
def test_new_columns_stand_beside_the_old_ones(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        pack = PACK[path.suffix if path.suffix in PACK else ""]
        path.write_bytes(pack(orjson.dumps(ROWS) if name.startswith("array") else LINES))
    copied = copy_rows(str(path), [0, 2], pl.DataFrame({"new": [0.5, 1.5]}))
    assert reread(tmp_path, name, copied) == [{**ROWS[0], "new": 0.5}, {**ROWS[2], "new": 1.5}]


def test_a_parquet_copy_keeps_the_schema(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("a", pa.int16(), nullable=False)], metadata={"who": "we"})
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3]}, schema=schema), path)
    (tmp_path / "copy.parquet").write_bytes(copy_rows(str(path), [2]))
    copied = pq.read_table(tmp_path / "copy.parquet")
    assert copied.schema.equals(pq.read_schema(path), check_metadata=True)
    assert copied.to_pylist() == [{"a": 3}]
