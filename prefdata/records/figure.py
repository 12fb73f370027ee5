"""A figure: one number that something says of its data, under a name."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Figure(BaseModel):
    """One of a list of figures. A new one changes no schema."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float


def merge_figures(one: Sequence[Figure], other: Sequence[Figure]) -> list[Figure]:
    """Both lists as one; of two figures of the same name the one from `other`."""
    return list({figure.name: figure for figure in (*one, *other)}.values())
