"""Pieces of docstrings that the reference quotes."""

from __future__ import annotations

import inspect
import re


def split_paragraphs(docstring: str | None) -> list[str]:
    """The paragraphs of a docstring."""
    text = inspect.cleandoc(docstring or "")
    return [part for part in text.split("\n\n") if part.strip()]


def first_paragraph(docstring: str | None) -> str:
    """The first paragraph, in one line."""
    return " ".join((split_paragraphs(docstring) or [""])[0].split())


def first_sentence(docstring: str | None) -> str:
    """The first sentence of a docstring."""
    return re.split(r"(?<=\.)\s+(?=[A-Z`(])", first_paragraph(docstring))[0]
