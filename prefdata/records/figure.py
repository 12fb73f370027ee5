"""A figure: one number that something says of its data, under a name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Figure(BaseModel):
    """One of a list of figures: a new one changes no schema."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float
