"""The exports there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.config.params import Part
from prefdata.dataset.exports.base import Export
from prefdata.dataset.exports.trl import Trl
from prefdata.errors import ConfigError

EXPORTS: dict[str, type[Export]] = {e.kind: e for e in (Trl,)}


def build(part: Part) -> Export:
    """The export of params.yaml, its settings checked."""
    if part.kind not in EXPORTS:
        known = ", ".join(EXPORTS)
        raise ConfigError(f"export.format.kind: {part.kind!r} is unknown; known: {known}")
    return EXPORTS[part.kind](part.settings(), "export.format")
