"""The contract of engines: the operations, the engine, and what parts require of one."""

from prefdata.engines.base.engine import GRACE_SECONDS, Engine
from prefdata.engines.base.operations import (
    OPERATIONS,
    CompletionSettings,
    LoglikelihoodSettings,
    Operation,
    OperationSpec,
    Options,
    Part,
    Sampling,
    Settings,
    Structure,
    error_code,
    fill_request,
    request_key_seed,
    result_schema,
    results,
)
from prefdata.engines.base.requirement import Call, Requirement

__all__ = [
    "GRACE_SECONDS",
    "OPERATIONS",
    "Call",
    "CompletionSettings",
    "Engine",
    "LoglikelihoodSettings",
    "Operation",
    "OperationSpec",
    "Options",
    "Part",
    "Requirement",
    "Sampling",
    "Settings",
    "Structure",
    "error_code",
    "fill_request",
    "request_key_seed",
    "result_schema",
    "results",
]
