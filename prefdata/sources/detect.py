"""Which kind of source reads a dataset, by its columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from prefdata.errors import ConfigError, SourceError
from prefdata.sources.dataset_source import DatasetSource
from prefdata.sources.datasets import open_dataset
from prefdata.sources.registry import SOURCES


def detect_kind(name: str, columns: Collection[str]) -> str:
    """The kind of source whose signature has the most of a dataset's columns.

    Args:
        name: The dataset's name, for errors.
        columns: Its columns.

    Raises:
        SourceError: No kind knows the columns.
    """
    kind = guess_kind(columns)
    if kind is None:
        raise SourceError(
            f"{name}: no kind of source knows its columns: {', '.join(sorted(columns)) or 'none'}",
            f"Name it as kind ({', '.join(SOURCES.parts)}); `mapping` reads any form, by the names "
            "of its columns.",
        )
    return kind


def guess_kind(columns: Collection[str]) -> str | None:
    """The same; None where no kind knows the columns."""
    known = {
        kind: max((len(s) for s in part.signatures if set(s) <= set(columns)), default=0)
        for kind, part in SOURCES.parts.items()
        if issubclass(part, DatasetSource)
    }
    kind = max(sorted(known), key=known.__getitem__)
    return kind if known[kind] else None


def open_dataset_source(
    path: str,
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
    default: str | None = None,
) -> DatasetSource:
    """The source of a dataset, checked.

    Args:
        path: A file, a folder of data files, or a hub id.
        kind: The kind of source; None: `settings` name it, or its columns tell.
        settings: More of its settings.
        default: The kind where its columns tell none; None: it is refused.

    Raises:
        ConfigError: The kind reads no datasets, or a setting is wrong.
        SourceError: It can't be read, or no kind knows its columns.
    """
    given = dict(settings or {})
    kind = kind or given.get("kind")
    if kind is None:
        opened = open_dataset(path, *(given.get(name) for name in ("split", "subset", "revision")))
        rows = (row.value for row in opened.rows())
        columns = next((row for row in rows if isinstance(row, dict)), {})
        kind = guess_kind(columns) or default or detect_kind(opened.name, columns)
    source = SOURCES.parse({**given, "kind": kind, "path": path}, f"source {path}")
    if not isinstance(source, DatasetSource):
        known = ", ".join(k for k, p in SOURCES.parts.items() if issubclass(p, DatasetSource))
        raise ConfigError(f"kind {kind}: it reads no dataset with labels", f"Known: {known}.")
    source.check()
    return source
