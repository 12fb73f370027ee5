"""The contract of a source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import polars as pl
from pydantic import ConfigDict, Field

from prefdata.errors import DropRecord
from prefdata.files.rows import SHARE_ROWS, WHOLE, Row, Share
from prefdata.parts import Part, PartConfig
from prefdata.parts.inputs import LicenseId
from prefdata.parts.numbers import Count
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.frames import SourceRow, dropped_frame, prompt_frame
from prefdata.sources.rows.boundary import make_frames, refuse_unreadable

DEFAULT_KIND = "prompts"
"""The kind of a source whose settings name none."""


class NoFault(DropRecord):
    """The row is valid but is left out, such as a tie."""


def _require_kind(schema: dict[str, Any]) -> None:
    """In JSON Schema, `kind` is optional only for the default kind."""
    if schema["properties"]["kind"].get("const") != DEFAULT_KIND:
        schema["required"] = ["kind", *schema.get("required", [])]


class SourceConfig(PartConfig):
    """The settings every source has."""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    limit: Count | None = Field(None, description="Read at most this many rows.", examples=[1000])
    license: LicenseId = Field(
        None,
        description="Its licence, such as cc-by-4.0: the card names it, and `prefdata publish` "
        "holds it against export.license. null: not known. It changes no row.",
        examples=["cc-by-sa-4.0"],
    )


class Source(Part):
    """Reads prompts, and the responses and annotations that come with them.

    A kind implements `rows`, which lists the rows, and `parse`, which reads one row. A row that
    `parse` refuses is dropped with its reason and origin, and reading goes on.
    """

    config: SourceConfig

    @property
    @abstractmethod
    def name(self) -> str:
        """What the source reads, such as a path. `origin` and every error begin with it."""

    @cached_property
    def unread(self) -> set[str]:
        """The fields of its rows that hold something and are not read: of all rows, once `rows` is
        at its end."""
        return set()

    @property
    def annotation_kinds(self) -> Sequence[AnnotationKind]:
        """The kinds of the annotations in its rows; none: its rows hold no responses."""
        return ()

    @abstractmethod
    def check(self) -> None:
        """Check, before any work, that the source can be read. Raises SourceError with the setting
        to change."""

    @abstractmethod
    def count_rows(self) -> int:
        """An upper bound on the number of prompts, with `limit` applied; cheaper than reading
        them."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """The rows in order, at most `limit`. Raises SourceError."""

    def share_rows(self, share: Share) -> Iterator[Row]:
        """The rows of a share, in order. A kind whose rows are costly to list, and that can pass
        over those of other shares, does so here."""
        return (row for position, row in enumerate(self.rows(), 1) if share.holds(position))

    @abstractmethod
    def parse(self, value: Any, max_prompt_chars: int) -> SourceRow:
        """Read the value of a row; `clean_conversation` normalises and checks its turns.

        Args:
            value: The row's value.
            max_prompt_chars: The longest prompt, in characters over all turns.

        Raises:
            DropRecord: The row is faulty.
            NoFault: The row is valid but is left out.
        """

    def read(
        self,
        position: int,
        test_fraction: float,
        max_prompt_chars: int,
        share: Share = WHOLE,
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Read the prompts and the dropped rows, a chunk at a time.

        Args:
            position: The source's position among all sources.
            test_fraction: The share of prompts that goes to the split `test`.
            max_prompt_chars: The longest prompt, in characters over all turns.
            share: The rows to read: several processes may read one source.

        Yields:
            `Prompt` rows, not yet merged by prompt, with `order` (position and row number in one
            number), and `Dropped` rows.
        """
        rows = self.share_rows(share)
        for chunk in iter(lambda: list(islice(rows, SHARE_ROWS)), []):
            parsed: list[tuple[Row, SourceRow]] = []
            dropped: list[tuple[Row, DropRecord, bool]] = []
            for row in chunk:
                try:
                    if isinstance(row.value, DropRecord):
                        raise row.value
                    with refuse_unreadable():
                        parsed.append((row, self.parse(row.value, max_prompt_chars)))
                except DropRecord as reason:
                    dropped.append((row, reason, not isinstance(reason, NoFault)))

            def make_frame(rows: list[tuple[Row, SourceRow]]) -> pl.DataFrame:
                read, values = [row for row, _ in rows], [value for _, value in rows]
                return prompt_frame(values, read, self.name, position, test_fraction)

            frames, refused = make_frames(make_frame, parsed)
            dropped += [(row, reason, True) for (row, _), reason in refused]
            yield pl.concat(frames), dropped_frame(dropped, self.name)
