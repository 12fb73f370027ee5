"""The base of all sections of params.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")
