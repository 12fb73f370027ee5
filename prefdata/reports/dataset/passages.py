"""Blocks of running text: a passage under its title, and two texts side by side."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from prefdata.text.controls import escape_controls
from prefdata.text.differences import mark_differences

_INDENT = 2
_SIDE_BY_SIDE = 80
"""The least width of a window in which two texts stand side by side."""
_STYLES = ("underline green", "underline red")
"""Of the words that one of two texts has alone."""


@dataclass(frozen=True)
class Passage:
    """A text under its title, indented; `depth` is the title's own."""

    title: str
    text: str
    depth: int = 0

    def draw(self, width: int) -> RenderableType:
        """What a console prints."""
        title = Text(escape_controls(self.title), style="bold", overflow="fold")
        body = Text(escape_controls(self.text), overflow="fold")
        parts = [Padding(title, (0, 0, 0, _INDENT * self.depth))]
        if self.text:
            parts.append(Padding(body, (0, 0, 0, _INDENT * (self.depth + 1))))
        return Group(*parts)

    def format(self) -> str:
        """Plain text, in lines as long as they are."""
        margin = " " * _INDENT
        lines = [margin * self.depth + escape_controls(self.title)]
        if self.text:
            lines.append(textwrap.indent(escape_controls(self.text), margin * (self.depth + 1)))
        return "\n".join(lines)


@dataclass(frozen=True)
class Sides:
    """Two texts, side by side where the window has room, else one above the other. On a terminal
    the words that one of them has alone are marked."""

    titles: tuple[str, str]
    texts: tuple[str, str]

    def draw(self, width: int) -> RenderableType:
        """What a console prints."""
        marked = mark_differences(*map(escape_controls, self.texts))
        titles = [
            Text(escape_controls(each), style="bold", overflow="fold") for each in self.titles
        ]
        bodies = []
        for pieces, style in zip(marked, _STYLES, strict=True):
            body = Text(overflow="fold")
            for piece, differs in pieces:
                body.append(piece, style if differs else None)
            bodies.append(body)
        if width >= _SIDE_BY_SIDE:
            table = Table.grid(expand=True, padding=(0, _INDENT, 0, 0))
            for _ in self.texts:
                table.add_column(ratio=1, overflow="fold")
            table.add_row(*titles)
            table.add_row(*bodies)
            return table
        margin = (0, 0, 0, _INDENT)
        return Group(titles[0], Padding(bodies[0], margin), titles[1], Padding(bodies[1], margin))

    def format(self) -> str:
        """Plain text, one above the other."""
        pairs = zip(self.titles, self.texts, strict=True)
        return "\n".join(Passage(title, text).format() for title, text in pairs)
