"""The rows of some prompts in a version of the dataset, in every export whose rows name them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from prefdata.dataset.manifest import MANIFEST, ExportEntry, FileEntry, read_manifest
from prefdata.dataset.shards import read_bucket_number
from prefdata.dataset.verification.rows import find_record, read_rows
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.tables import bucket_of

_KEY = "prompt_id"


@dataclass(frozen=True)
class ExportedRow:
    """A row of the dataset.

    Attributes:
        export: The name of its export.
        split: Its split.
        path: Its file, in the version's folder.
        row: Its columns; JSON texts in Parquet stay texts.
    """

    export: str
    split: str
    path: str
    row: dict[str, Any]

    @property
    def prompt_id(self) -> str:
        """The prompt that it is of."""
        return str(self.row[_KEY])


def read_exported(version: str, prompt_ids: pl.Series) -> list[ExportedRow]:
    """The rows of some prompts, in the order of exports and files; none where there is no version.

    Exports whose rows name no prompt, such as gemini and openai, have none; see
    `list_nameless`.

    Args:
        version: The version's folder.
        prompt_ids: Whole ids.

    Raises:
        TableError: The version, or a file that is read, is damaged.
    """
    if storage.read_bytes(storage.join(version, MANIFEST)) is None:
        return []
    found = []
    for name, entry in read_manifest(version).exports.items():
        if _is_nameless(entry):
            continue
        record = find_record(entry)
        for file in entry.files:
            if file.split is None or not _may_hold(file, prompt_ids):
                continue
            content = read_rows(version, file, record)
            if content.problem:
                raise TableError(
                    f"{storage.join(version, file.path)}: {content.problem}",
                    "Export it again, or fetch it again; `prefdata verify` names all damage.",
                )
            for rows in content.pieces:
                kept = _keep_rows(rows, prompt_ids)
                found += [ExportedRow(name, file.split, file.path, row) for row in kept]
    return found


def list_nameless(version: str) -> list[str]:
    """The exports of a version whose rows name no prompt: what became of a pair in them is only
    known from what was dropped."""
    if storage.read_bytes(storage.join(version, MANIFEST)) is None:
        return []
    exports = read_manifest(version).exports
    return [name for name, entry in exports.items() if _is_nameless(entry)]


def _is_nameless(entry: ExportEntry) -> bool:
    # Early manifests describe no columns.
    return bool(entry.columns) and _KEY not in entry.columns


def _may_hold(file: FileEntry, prompt_ids: pl.Series) -> bool:
    """Whether the file is that of a bucket of one of the prompts, or of all buckets."""
    place = read_bucket_number(file.path)
    return place is None or any(bucket_of(each, place[1]) == place[0] for each in prompt_ids)


def _keep_rows(rows: pl.DataFrame, prompt_ids: pl.Series) -> Iterator[dict[str, Any]]:
    if _KEY in rows.columns:
        yield from rows.filter(pl.col(_KEY).is_in(prompt_ids.implode())).iter_rows(named=True)
    elif rows.columns == ["line"]:
        lines = rows["line"].cast(pl.String)
        wanted = set(prompt_ids)
        for line in lines.filter(lines.str.contains_any(prompt_ids)):
            row = orjson.loads(line)
            if row.get(_KEY) in wanted:
                yield row
