"""Parts whose settings name judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prefdata.errors import ConfigError
from prefdata.text.similar_names import suggest_name


class NamesJudges(Protocol):
    """A part, such as a consensus or an augmentation, that names judges."""

    where: str

    def judges(self) -> Sequence[str]:
        """The names in its settings."""


def check_judges(part: NamesJudges, judges: Sequence[str]) -> None:
    """Raise ConfigError where the part's settings name a judge that is not among `judges`."""
    for name in part.judges():
        if name not in judges:
            raise ConfigError(
                f"{part.where}: no judge is called {name!r}{suggest_name(name, judges)}; "
                f"judge.judges has: {', '.join(judges)}",
                "Name a judge by its `name`, or by its kind where it has none.",
            )
