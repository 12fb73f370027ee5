"""The ways of reaching a consensus, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.consensus.base import Consensus
from prefdata.consensus.mean import Mean
from prefdata.consensus.scir import Scir

CONSENSUSES: dict[str, type[Consensus]] = {c.kind: c for c in (Mean, Scir)}


def build(part: Part) -> Consensus:
    """The consensus of params.yaml, its settings checked."""
    where = "judge.consensus"
    return known(CONSENSUSES, part.kind, where)(part.settings(), where)
