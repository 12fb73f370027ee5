"""Samples that people labelled, and how well a check or filter does on them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson


def read_labelled(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def describe_quality(found_and_true: Iterable[tuple[bool, bool]]) -> str:
    """Precision and recall, in the words in which the docstring of the part has to say them."""
    both = list(found_and_true)
    hits = sum(found and true for found, true in both)
    found, true = sum(found for found, _ in both), sum(true for _, true in both)
    return f"{len(both)} labelled texts: precision {hits / found:.2f}, recall {hits / true:.2f}"


def read_docstring(part: type) -> str:
    return " ".join((part.__doc__ or "").split())
