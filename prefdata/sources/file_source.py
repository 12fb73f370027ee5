"""What the sources that read one file share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Literal

from pydantic import Field

from prefdata.errors import SourceError
from prefdata.files.rows import (
    WHOLE,
    Format,
    Row,
    Share,
    column_names,
    count_rows,
    format_of,
    open_unpacked,
)
from prefdata.files.rows import read_rows as read_file
from prefdata.parts.inputs import InputPath
from prefdata.sources.base import Source, SourceConfig
from prefdata.sources.rows.fields import Read, list_unread

FORMATS: tuple[Format, ...] = ("jsonl", "json", "parquet")


class FileSourceConfig(SourceConfig):
    """The settings of every source that reads one file."""

    path: InputPath = Field(
        description="A local path or an fsspec URL; .gz, .bz2, .xz and .zst are unpacked.",
        examples=["more.jsonl"],
    )
    format: Literal["auto", "jsonl", "json", "parquet"] = Field(
        "auto", description="auto: by the file's name; json: an array of rows, or one row per line."
    )
    ground_truth_field: str = Field(
        "ground_truth",
        description="The field that verifiers check responses against; rows may lack it.",
        examples=["solution"],
    )


class FileSource(Source):
    """Reads the rows of one file. A kind says which fields it reads; one that lists its rows in
    another way implements `share_rows`."""

    config: FileSourceConfig

    @property
    def name(self) -> str:
        return self.config.path

    def fields(self) -> Sequence[str]:
        """The fields to read of a row, or the columns to read of a Parquet file."""
        return ("source", self.config.ground_truth_field)

    def required(self) -> dict[str, str]:
        """Field -> the setting that names it; a Parquet file needs at least one of the fields."""
        return {}

    def check(self) -> None:
        if self._format == "parquet":
            self._check_columns()
        else:
            open_unpacked(self.config.path).close()

    def count_rows(self) -> int:
        if self._format == "parquet":
            self._check_columns()
        count = count_rows(self.config.path, self._format)
        return min(count, self.config.limit or count)

    def rows(self) -> Iterator[Row]:
        return self.share_rows(WHOLE)

    def share_rows(self, share: Share) -> Iterator[Row]:
        if self._format == "parquet":
            self._check_columns()
            others = set(column_names(self.config.path)) - set(self.fields())
            self.unread.update(others)
        rows = read_file(self.config.path, self._format, self.fields(), share)
        limit = self.config.limit
        if limit is not None:
            rows = takewhile(lambda row: row.number <= limit, rows)
        return map(self._note_unread, rows)

    def _note_unread(self, row: Row) -> Row:
        # Most rows hold nothing else: told without a look at each of their fields.
        if isinstance(row.value, dict) and row.value.keys() <= self._read.keys():
            return row
        self.unread.update(list_unread(row.value, self._read))
        return row

    @cached_property
    def _read(self) -> Read:
        return {name: {} for name in self.fields()}

    @property
    def _format(self) -> Format:
        named = self.config.format
        return format_of(self.config.path, FORMATS) if named == "auto" else named

    def _check_columns(self) -> None:
        names, required = column_names(self.config.path), self.required()
        if required and not set(required) & set(names):
            raise SourceError(
                f"{self.config.path}: has no column {' or '.join(map(repr, required))}; it has: "
                f"{', '.join(sorted(names))}",
                f"Set {' or '.join(required.values())} of the source to one of its columns.",
            )
