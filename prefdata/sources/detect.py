"""Which kind of source reads a dataset, by its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from prefdata.errors import ConfigError, DropRecord, SourceError
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import DEFAULT_KIND
from prefdata.sources.dataset_source import DatasetSource
from prefdata.sources.datasets import FileDataset, open_dataset
from prefdata.sources.registry import SOURCES

LOOKED_AT = 100
"""The number of rows that are read to tell how a dataset is read."""

_MAX_PROMPT_CHARS = 1_000_000
_PROMPT_FIELDS = (
    "prompt", "messages", "question", "instruction", "query", "input", "problem", "conversations",
    "conversation", "text",
)  # fmt: skip
"""What the field of a prompt is called in datasets, the surest name first."""


@dataclass(frozen=True)
class DetectedSource:
    """How a dataset is read, found by its first rows.

    Attributes:
        settings: The settings of its source.
        kind: The kind of source.
        annotations: The kinds of the annotations in the rows that were read.
        prompts: The number of prompts in the rows that were read.
        dropped: The rows among them that can't be read, by reason.
        has_ground_truth: Whether some have a ground truth.
    """

    settings: dict[str, Any]
    kind: str
    annotations: list[AnnotationKind]
    prompts: int
    dropped: dict[str, int]
    has_ground_truth: bool


def detect_source(path: str, prompt_field: str | None = None) -> DetectedSource:
    """How a dataset is read: by the kind that knows its columns, or as prompts.

    Args:
        path: A file; where its rows have labels, a folder of data files or a hub id, too.
        prompt_field: The field of the prompt; None: the one that is called so.

    Raises:
        SourceError: It can't be read, or no field looks like a prompt.
    """
    dataset = open_dataset(path)
    rows = (row.value for row in dataset.rows() if not isinstance(row.value, DropRecord))
    first = next(rows, None)
    kind = guess_kind(first) if isinstance(first, dict) and prompt_field is None else None
    if kind:
        return _try_source({"kind": kind, "path": path})
    if not isinstance(dataset, FileDataset):
        raise SourceError(f"{path}: prompts are read from a file", "Name a JSONL or Parquet file.")
    if isinstance(first, dict):
        return _try_source({"path": path, **_find_prompt(path, first, prompt_field)})
    return _try_source({"path": path})


def _find_prompt(path: str, row: Mapping[str, Any], named: str | None) -> dict[str, str]:
    """The settings that name the field of the prompt."""
    texts = [name for name, value in row.items() if isinstance(value, str)]
    known = [name for name in _PROMPT_FIELDS if row.get(name)]
    found = [named] if named else known or (texts if len(texts) == 1 else [])
    if not found or found[0] not in row:
        problem = f"no field {named!r}" if named else "no field that looks like the prompt"
        raise SourceError(
            f"{path}: its first row has {problem}; it has: {', '.join(map(str, row)) or 'none'}",
            "Name the field of the prompt with --prompt-field.",
        )
    name = found[0]
    setting = "prompt_field" if isinstance(row[name], str) else "messages_field"
    return {} if name in ("prompt", "messages") else {setting: name}


def _try_source(settings: dict[str, Any]) -> DetectedSource:
    """What the source reads in the first rows. Raises SourceError if that is nothing."""
    path = settings["path"]
    kind = settings.get("kind", DEFAULT_KIND)
    source = SOURCES.parse({**settings, "kind": kind, "limit": LOOKED_AT}, f"source {path}")
    prompts, has_ground_truth = 0, False
    dropped: Counter[str] = Counter()
    annotations: set[AnnotationKind] = set()
    details: list[str] = []
    for read, refused in source.read(0, 0.0, _MAX_PROMPT_CHARS):
        prompts += read.height
        has_ground_truth |= read["ground_truth"].is_not_null().any()
        given = read["annotations"].drop_nulls().explode(empty_as_null=False)
        annotations |= set(given.struct.field("kind"))
        dropped.update(refused["reason"].to_list())
        details += refused["detail"].head(1).to_list()
    if not prompts:
        raise SourceError(
            f"{path}: none of its first rows can be read as {kind}: {'; '.join(details) or 'none'}",
            "See prefdata list sources and the docs, how to bring prompts; `mapping` reads any "
            "form, by the names of its columns.",
        )
    return DetectedSource(
        settings,
        kind=kind,
        annotations=sorted(annotations),
        prompts=prompts,
        dropped=dict(sorted(dropped.items())),
        has_ground_truth=has_ground_truth,
    )


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
