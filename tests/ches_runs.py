"""`prefdata ches` run on small datasets of every container, with the scripted model."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefdata.cli.app import main

WORDS = "a river runs through the old town and its water is cold in every winter".split()


def rows(count: int = 40) -> list[dict[str, Any]]:
    """Pairs, two a prompt, with a column that no one asked for."""
    return [
        {
            "prompt": f"Question {n // 2}?",
            "chosen": " ".join(WORDS[n % 5 : n % 5 + 4 + n % 7]),
            "rejected": " ".join(WORDS[n % 3 : n % 3 + 9]),
            "source": ("web", "books")[n % 2],
            "extra": {"n": n},
        }
        for n in range(count)
    ]


def lines(some: list[Any]) -> bytes:
    # Blanks that a rewritten line would lose.
    return b"".join(json.dumps(row, indent=None).encode() + b" \n" for row in some)


CONTAINERS = (
    "pairs.jsonl",
    "pairs.jsonl.gz",
    "pairs.json",
    "lines.json",
    "pairs.parquet",
    "folder",
)


def put(folder: Path, name: str, some: list[dict[str, Any]]) -> Path:
    path = folder / name
    if name == "folder":
        path.mkdir()
        pq.write_table(pa.Table.from_pylist(some), path / "train.parquet")
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(some), path)
    elif name == "pairs.json":
        path.write_text(json.dumps(some))
    else:
        path.write_bytes(gzip.compress(lines(some)) if name.endswith(".gz") else lines(some))
    return path


def values(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = gzip.decompress(content)
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return (
        json.loads(content)
        if path.name == "pairs.json"
        else [*map(json.loads, content.split(b"\n")[:-1])]
    )


class Command:
    """The command in a folder of its own, with the scripted model."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, data: Path | str, *more: str, engine: str = "scripted") -> tuple[int, Any]:
        """(exit code, the report's figures or the error on standard error)."""
        fixed = ["ches", "--model", "m", "--engine", engine, "--memo", str(self.folder / "memo")]
        code = main([*fixed, "--data", str(data), "--json", "--quiet", *more])
        out, err = self.capsys.readouterr()
        return code, json.loads(out) if out else err
