"""The judges, by the `kind` that params.yaml uses."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.errors import ConfigError
from prefdata.judges.base import Judge, JudgeConfig
from prefdata.parts import Registry

JUDGES: Registry[Judge] = Registry(
    Judge,
    (
        "prefdata.judges",
        "prefdata.judges.prompted",
        "prefdata.judges.scored",
        "prefdata.judges.verifiers",
    ),
    "prefdata.judges",
)


def build_panel(configs: Sequence[JudgeConfig], where: str = "judge.judges") -> list[Judge]:
    """Build the judges of a list in params.yaml, without setting them up.

    Args:
        configs: The judges' settings.
        where: The path of the list in params.yaml.

    Raises:
        ConfigError: Two judges have the same name.
    """
    judges = JUDGES.build_all(configs, where)
    names = [judge.name for judge in judges]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"{where}: the name {name!r} is taken", "Give each judge a `name` of its own."
            )
    return judges
