"""Parts whose settings name policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prefdata.errors import ConfigError
from prefdata.text.similar_names import suggest_name


class NamesPolicies(Protocol):
    """A part, such as a strategy or a filter, that names policies."""

    where: str

    def policies(self) -> Sequence[str]:
        """The names in its settings."""


def check_policies(part: NamesPolicies, policies: Sequence[str], others_come: bool) -> None:
    """Raise ConfigError where the part's settings name a policy that is not among `policies`.

    `others_come` says that sources bring responses, whose authors are policies too and are known
    only from the rows: then any name may be one.
    """
    for name in part.policies():
        if name not in policies and not others_come:
            raise ConfigError(
                f"{part.where}: no policy is called {name!r}{suggest_name(name, policies)}; "
                f"generate has: {', '.join(policies)}",
                "Name a policy by its `name`, or by its model's name where it has none. Authors of "
                "existing responses are policies only where a source brings responses.",
            )
