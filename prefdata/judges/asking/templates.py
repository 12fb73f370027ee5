"""The templates of judges: defaults in prompted/prompts/, which the settings can replace."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib import resources

import polars as pl

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_BLOCK = re.compile(r"^\[([^\[\]\n]+)\]$", re.MULTILINE)


@cache
def read_template(name: str) -> str:
    """The text of prompted/prompts/NAME.txt, without the file's last newline."""
    folder = resources.files("prefdata.judges.prompted") / "prompts"
    return (folder / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def find_placeholders(text: str) -> set[str]:
    """The names in braces in the text."""
    return set(_PLACEHOLDER.findall(text))


def check_template(text: str, placeholders: Collection[str]) -> None:
    """Check a template.

    Raises:
        ValueError: It lacks a placeholder or has an unknown one.
    """
    found = find_placeholders(text)
    known = ", ".join(f"{{{name}}}" for name in placeholders) or "none"
    lacking = [f"{{{name}}}" for name in placeholders if name not in found]
    if lacking:
        raise ValueError(f"{', '.join(lacking)} is missing; the placeholders are {known}")
    unknown = sorted(f"{{{name}}}" for name in found.difference(placeholders))
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is unknown; the placeholders are {known}")


def fence_blocks(template: str) -> str:
    """The template with the placeholder `{boundary}` in each line that is a title in brackets."""
    return _BLOCK.sub(r"[\1 {boundary}]", template)


def fill_template(template: str, **values: pl.Expr) -> pl.Expr:
    """Replace each `{name}` in one pass, so that placeholders inside a value stay as they are."""
    parts: list[pl.Expr] = []
    rest = template
    while rest:
        positions = [(rest.find("{" + name + "}"), name) for name in values]
        position, name = min((p for p in positions if p[0] >= 0), default=(-1, ""))
        if position < 0:
            break
        parts += [pl.lit(rest[:position]), values[name]]
        rest = rest[position + len(name) + 2 :]
    return pl.concat_str([*parts, pl.lit(rest)])
