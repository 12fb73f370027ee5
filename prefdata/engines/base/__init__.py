"""The contract of engines: the operations, the engine, and what parts require of one."""

from prefdata.engines.base.engine import GRACE_SECONDS, Engine
from prefdata.engines.base.operations import (
    MESSAGES,
    OPERATIONS,
    LoglikelihoodSettings,
    Operation,
    OperationSpec,
    Options,
    Sampling,
    Settings,
    Structure,
    error_code,
    request_key_seed,
    result_schema,
    results,
)
from prefdata.engines.base.requirement import Call, Requirement

__all__ = [
    "GRACE_SECONDS",
    "MESSAGES",
    "OPERATIONS",
    "Call",
    "Engine",
    "LoglikelihoodSettings",
    "Operation",
    "OperationSpec",
    "Options",
    "Requirement",
    "Sampling",
    "Settings",
    "Structure",
    "error_code",
    "request_key_seed",
    "result_schema",
    "results",
]
