"""The contract of a report: a model of its figures, and the tables and lines that show them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from prefdata.text.controls import escape_json_controls

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Grid:
    """A table: its head, its rows, the columns of numbers, which are aligned right, and what each
    column means, where that is said."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Collection[int] = ()
    legend: Mapping[str, str] = field(default_factory=dict)


class Drawn(Protocol):
    """A block that draws itself, and escapes the controls of its texts."""

    def draw(self, width: int) -> RenderableType:
        """What a console of this width prints."""
        ...

    def format(self) -> str:
        """The same as plain text."""
        ...


Block = Grid | str | Drawn
"""A table, lines of text, or a block that draws itself."""


class Figures(BaseModel):
    """The figures of a report, or of a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Report(Figures, ABC):
    """Figures that a command prints, as JSON or as blocks of text."""

    @abstractmethod
    def blocks(self) -> list[Block]:
        """The blocks to print, with an empty line between two of them."""

    def __str__(self) -> str:
        from prefdata.reports.render import format_text

        return format_text(self)

    def to_json(self) -> str:
        """All figures as one JSON object on one line."""
        return escape_json_controls(self.model_dump_json(by_alias=True))


class Files(Report):
    """The files that a command wrote."""

    files: list[str]

    def blocks(self) -> list[Block]:
        """One path per line."""
        return ["\n".join(self.files)]


class Checked(Report):
    """A configuration that can be run."""

    params: str
    stages: list[str]

    def blocks(self) -> list[Block]:
        """One line."""
        return [f"{self.params} can be run: {', '.join(self.stages)}"]


def join_counts(counts: dict[str, int]) -> str:
    """`{"timeout": 3, "refused": 1}` as "timeout 3, refused 1"."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
