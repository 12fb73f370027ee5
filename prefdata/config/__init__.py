"""The configuration: one pydantic model a stage, read from params.yaml."""

from prefdata.config.load import fingerprint, load_params
from prefdata.config.params import (
    AugmentParams,
    ExportParams,
    FilterParams,
    GenerateParams,
    IngestParams,
    JudgeParams,
    ModelParams,
    PairParams,
    Params,
    Part,
    PricesParams,
    RewardHeadParams,
    ScoreParams,
    SourceParams,
)

__all__ = [
    "AugmentParams",
    "ExportParams",
    "FilterParams",
    "GenerateParams",
    "IngestParams",
    "JudgeParams",
    "ModelParams",
    "PairParams",
    "Params",
    "Part",
    "PricesParams",
    "RewardHeadParams",
    "ScoreParams",
    "SourceParams",
    "fingerprint",
    "load_params",
]
