"""The exports there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.dataset.exports.base import Export
from prefdata.dataset.exports.trl import Trl

EXPORTS: dict[str, type[Export]] = {e.kind: e for e in (Trl,)}


def build(part: Part) -> Export:
    """The export of params.yaml, its settings checked."""
    where = "export.format"
    return known(EXPORTS, part.kind, where)(part.settings(), where)
