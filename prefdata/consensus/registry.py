"""The ways of reaching a consensus, by the `kind` that params.yaml uses."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.consensus.agreement_ranking import AgreementRanking
from prefdata.consensus.base import Consensus
from prefdata.consensus.bradley_terry import BradleyTerry
from prefdata.consensus.general import General
from prefdata.consensus.groups import Groups
from prefdata.consensus.hierarchical import Hierarchical
from prefdata.consensus.log_sigmoid_sum import LogSigmoidSum
from prefdata.consensus.mean import Mean
from prefdata.consensus.mixture import Mixture
from prefdata.consensus.noise_aware import NoiseAware
from prefdata.consensus.scir import Scir
from prefdata.consensus.strength import Strength
from prefdata.consensus.weighted_sum import WeightedSum
from prefdata.errors import ConfigError

CONSENSUSES: dict[str, type[Consensus]] = {
    c.kind: c
    for c in (
        AgreementRanking,
        BradleyTerry,
        General,
        Groups,
        Hierarchical,
        LogSigmoidSum,
        Mean,
        Mixture,
        NoiseAware,
        Scir,
        Strength,
        WeightedSum,
    )
}


def build(part: Part, judges: Sequence[str] | None = None) -> Consensus:
    """The consensus of params.yaml, its settings checked; every judge it names among `judges`."""
    where = "judge.consensus"
    consensus = known(CONSENSUSES, part.kind, where)(part.settings(), where)
    for name in consensus.judges():
        if judges is not None and name not in judges:
            raise ConfigError(
                f"{where}: no judge is called {name!r}; judge.judges has: {', '.join(judges)}",
                "Name a judge by its `name`, or by its kind where it has none.",
            )
    return consensus
