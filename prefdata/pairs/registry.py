"""The pairing strategies there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.pairs.all_above_margin import AllAboveMargin
from prefdata.pairs.base import Strategy
from prefdata.pairs.best_worst import BestWorst
from prefdata.pairs.lowest_ches import LowestChes

STRATEGIES: dict[str, type[Strategy]] = {s.kind: s for s in (AllAboveMargin, BestWorst, LowestChes)}


def build(part: Part) -> Strategy:
    """The strategy of params.yaml, its settings checked."""
    where = "pair.strategy"
    return known(STRATEGIES, part.kind, where)(part.settings(), where)
