"""The base of all sections of params.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of params.yaml."""

    # Params builds the schemas of its sections within its own, once more, so theirs can wait.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
