"""Pieces of Markdown that all generated pages share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_PAPER = re.compile(r"(?<!\[)\barXiv[ :](\d{4}\.\d{4,5})")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(c) for c in cells) + " |\n" for cells in lines)


def paragraphs(docstring: str | None) -> list[str]:
    """The paragraphs of a docstring, their papers linked."""
    text = inspect.cleandoc(docstring or "")
    return [link_papers(part) for part in text.split("\n\n") if part.strip()]


def paragraph(docstring: str | None) -> str:
    """The first paragraph, in one line."""
    return " ".join((paragraphs(docstring) or [""])[0].split())


def sentence(docstring: str | None) -> str:
    """The first sentence of a docstring."""
    return re.split(r"(?<=\.)\s+(?=[A-Z`(])", paragraph(docstring))[0]


def link_papers(text: str) -> str:
    """`arXiv 2410.08847` as a link."""
    return _PAPER.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", text)


def code_block(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
