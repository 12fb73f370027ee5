"""All kinds of consensus, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.consensus.base import Consensus
from prefdata.parts import Registry

CONSENSUSES: Registry[Consensus] = Registry(
    Consensus, ("prefdata.consensus",), "prefdata.consensus"
)
