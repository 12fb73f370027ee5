"""The pairing strategies there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.config.params import Part
from prefdata.errors import ConfigError
from prefdata.pairs.all_above_margin import AllAboveMargin
from prefdata.pairs.base import Strategy
from prefdata.pairs.best_worst import BestWorst

STRATEGIES: dict[str, type[Strategy]] = {s.kind: s for s in (AllAboveMargin, BestWorst)}


def build(part: Part) -> Strategy:
    """The strategy of params.yaml, its settings checked."""
    where = "pair.strategy"
    if part.kind not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise ConfigError(f"{where}.kind: {part.kind!r} is unknown; known: {known}")
    return STRATEGIES[part.kind](part.settings(), where)
