"""Small preference datasets with defects that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from prefdata.checks.all import check_dataset
from prefdata.checks.base import Found
from prefdata.checks.consumers import Outlook
from prefdata.checks.read import read_dataset

Row = dict[str, Any]

TOPICS = (
    "the tides of the northern sea", "how bread rises in a warm kitchen", "why stars twinkle",
    "a short history of printing", "the rules of chess for children", "planting tomatoes in spring",
    "how bicycles keep their balance", "the colours of autumn leaves", "tuning an old guitar",
    "what makes thunder so loud", "how to read a paper map", "the life of a honey bee",
)  # fmt: skip


def make_pairs(count: int = 12) -> list[Row]:
    """Sound pairs: prompts of their own words, responses of about one length, none the longer one
    more often."""
    return [
        {
            "prompt": f"Explain {TOPICS[n % len(TOPICS)]} in {n // len(TOPICS) + 1} sentences.",
            "chosen": f"It goes well, number {n} said{' at length' * (n % 2)}.",
            "rejected": f"It goes badly, number {n} said{' at length' * ((n + 1) % 2)}.",
        }
        for n in range(count)
    ]


def put(folder: Path, rows: Sequence[Row], name: str = "pairs.jsonl") -> str:
    """The file of these rows."""
    path = folder / name
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def check(path: str, **settings: Any) -> tuple[list[Outlook], Found]:
    """What is found in the dataset."""
    return check_dataset(read_dataset(path), **settings)


def count_findings(found: Found) -> dict[str, int]:
    """How many rows each finding of the contents counts."""
    return {each.check: each.count for each in found.findings}
