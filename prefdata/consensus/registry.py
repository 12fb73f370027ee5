"""The ways of reaching a consensus, by the `kind` that params.yaml uses."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.consensus.base import Consensus
from prefdata.errors import ConfigError
from prefdata.parts import Registry

CONSENSUSES: Registry[Consensus] = Registry(
    Consensus, ("prefdata.consensus",), "prefdata.consensus"
)


def check_judges(consensus: Consensus, judges: Sequence[str]) -> None:
    """Raise ConfigError where the consensus' settings name a judge that is not among `judges`."""
    for name in consensus.judges():
        if name not in judges:
            raise ConfigError(
                f"{consensus.where}: no judge is called {name!r}; judge.judges has: "
                f"{', '.join(judges)}",
                "Name a judge by its `name`, or by its kind where it has none.",
            )
