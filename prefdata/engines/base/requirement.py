"""What stages and parts require of models, so that it can be checked before any work starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prefdata.engines.base.engine import REMEDY, Engine
from prefdata.engines.base.operations import Operation, Settings
from prefdata.errors import ModelError


@dataclass(frozen=True)
class Call:
    """An operation with its settings: a call to a model, without its requests."""

    operation: Operation
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Requirement:
    """What a stage or a part will ask of a model: one of `calls`, the best first.

    The first call that the model's engine supports is the one that will be made. If it supports
    none of them, `remedy` is the advice in the error.
    """

    model: str
    calls: tuple[Call, ...]
    remedy: str = ""

    @classmethod
    def of(cls, model: str, operation: Operation, settings: Settings | None = None) -> Requirement:
        """A requirement of exactly this call."""
        return cls(model, (Call(operation, settings or Settings()),))

    def resolve(self, engines: Mapping[str, Engine]) -> Call:
        """The first call that the model's engine supports. Raises ModelError if there is none."""
        engine = engines[self.model]
        reasons = []
        for call in self.calls:
            reason = engine.refusal(call.operation, call.settings)
            if reason is None:
                return call
            reasons.append(f"model {engine.name}: {reason}")
        raise ModelError("; ".join(dict.fromkeys(reasons)), self.remedy or REMEDY)
