"""Pieces of Markdown that all generated pages share."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from prefdata.reports.reference import docstrings
from prefdata.reports.reference.settings import Setting

_PAPER = re.compile(r"(?<!\[)\barXiv[ :](\d{4}\.\d{4,5})")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(c) for c in cells) + " |\n" for cells in lines)


def settings_table(settings: Collection[Setting], again: Collection[str] = ()) -> str:
    """A row per setting; `again` names those whose change asks models anew."""
    head = ["setting", "type", "default", "description"]
    rows = []
    for each in settings:
        mark = " *Asks models again.*" if each.name in again else ""
        described = link_papers(each.description) + mark
        rows.append([f"`{each.name}`", each.type, each.format_default("`"), described])
    return table(head, rows)


def paragraphs(docstring: str | None) -> list[str]:
    """The paragraphs of a docstring, their papers linked."""
    return [link_papers(part) for part in docstrings.split_paragraphs(docstring)]


def paragraph(docstring: str | None) -> str:
    """The first paragraph in one line, its papers linked."""
    return link_papers(docstrings.first_paragraph(docstring))


def link_papers(text: str) -> str:
    """`arXiv 2410.08847` as a link."""
    return _PAPER.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", text)


def code_block(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
