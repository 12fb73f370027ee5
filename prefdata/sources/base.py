"""The contract of a source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Any

import polars as pl
from pydantic import ConfigDict, Field

from prefdata.errors import DropRecord
from prefdata.files.rows import Row
from prefdata.parts import Part, PartConfig
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.frames import SourceRow, dropped_frame, prompt_frame

DEFAULT_KIND = "prompts"
"""The kind of a source that names none."""

CHUNK_ROWS = 20_000
"""Rows that are made a frame at once."""


class NoFault(DropRecord):
    """A sound row that is left out all the same, such as a tie."""


def _require_kind(schema: dict[str, Any]) -> None:
    """In JSON Schema, only the default kind goes without its name."""
    if schema["properties"]["kind"].get("const") != DEFAULT_KIND:
        schema["required"] = ["kind", *schema.get("required", [])]


class SourceConfig(PartConfig):
    """The settings every source has."""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    limit: int | None = Field(
        None, gt=0, description="Read this many rows and no more.", examples=[1000]
    )


class Source(Part):
    """Reads prompts, and the responses and annotations that come with them.

    A kind says how its rows are listed (`rows`) and what one becomes (`parse`). A row that
    `parse` refuses is dropped with its reason and its place, and the others go on.
    """

    config: SourceConfig

    @property
    @abstractmethod
    def name(self) -> str:
        """What it reads from, such as a path: heads `origin` and every error."""

    @property
    def annotation_kind(self) -> AnnotationKind | None:
        """The kind of the annotations that its rows bring; None: they bring no responses."""
        return None

    @abstractmethod
    def check(self) -> None:
        """Find out, before any work, what would keep it from being read. Raises SourceError with
        the setting to change."""

    @abstractmethod
    def count_rows(self) -> int:
        """How many rows it has at most, `limit` included; cheaper than reading them."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Its rows in order, at most `limit`. Raises SourceError."""

    @abstractmethod
    def parse(self, value: Any, max_prompt_chars: int) -> SourceRow:
        """What the value of a row becomes.

        Args:
            value: A row's value; `clean_conversation` makes its turns a prompt's.
            max_prompt_chars: The longest prompt, in characters over all turns.

        Raises:
            DropRecord: The row is faulty.
            NoFault: The row is sound and left out.
        """

    def read(
        self, position: int, test_fraction: float, max_prompt_chars: int
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Its prompts and what was dropped, a chunk of rows at a time.

        Args:
            position: Its place among all sources.
            test_fraction: The share of prompts that goes to the split `test`.
            max_prompt_chars: The longest prompt, in characters over all turns.

        Yields:
            `Prompt` rows, not yet merged by prompt, with `order` (position and row number in one
            number), and `Dropped` rows.
        """
        rows = self.rows()
        while chunk := list(islice(rows, CHUNK_ROWS)):
            numbers: list[int] = []
            parsed: list[SourceRow] = []
            dropped: list[tuple[Row, DropRecord, bool]] = []
            for row in chunk:
                try:
                    if isinstance(row.value, DropRecord):
                        raise row.value
                    parsed.append(self.parse(row.value, max_prompt_chars))
                    numbers.append(row.number)
                except DropRecord as reason:
                    dropped.append((row, reason, not isinstance(reason, NoFault)))
            yield (
                prompt_frame(parsed, numbers, self.name, position, test_fraction),
                dropped_frame(dropped, self.name),
            )
