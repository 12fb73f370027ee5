"""What a page holds: sections of tables, texts and charts, and rows for its reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prefdata.reports.base import Block, Grid


@dataclass(frozen=True)
class Chart:
    """A figure, and what it shows in words and numbers.

    Attributes:
        title: Its caption.
        svg: As `write_svg` makes it.
        summary: What it shows, in a sentence or two.
        table: The numbers behind it.
    """

    title: str
    svg: str
    summary: str
    table: Grid


@dataclass(frozen=True)
class Section:
    """A section of a page, under a heading of its own.

    Attributes:
        name: Its anchor; of letters and hyphens.
        title: Its heading.
        lead: What it shows, in a sentence or two; why it shows nothing, where that is so.
        parts: In order. Charts that follow one another stand side by side where there is room.
    """

    name: str
    title: str
    lead: str = ""
    parts: Sequence[Block | Chart] = ()


@dataclass(frozen=True)
class Rows:
    """The rows of the page's reader.

    Attributes:
        rows: As `rows.py` describes them.
        note: How many of how many they are, and how they were chosen.
    """

    rows: Sequence[dict[str, Any]]
    note: str


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: Its title and first heading.
        lead: What it is about.
        facts: What a reader wants to know first: a name and a value each.
        sections: In order.
        rows: For the reader, which is the last section; None: it has none.
    """

    title: str
    lead: str = ""
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)
    rows: Rows | None = None
