"""The pairing strategies, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.pairs.base import Strategy
from prefdata.parts import Registry

STRATEGIES: Registry[Strategy] = Registry(Strategy, ("prefdata.pairs",), "prefdata.strategies")
