"""Presets: whole configurations for one purpose."""

from __future__ import annotations

from prefdata.config.params import (
    ChesParams,
    FilterParams,
    GenerateParams,
    IngestParams,
    JudgeParams,
    PairParams,
    Params,
)
from prefdata.consensus.mean import MeanConfig
from prefdata.engines.config import ModelConfig
from prefdata.filters.pairs.ches import ChesConfig
from prefdata.judges.human import HumanConfig
from prefdata.messages.completion import Completion
from prefdata.pairs.all_above_margin import AllAboveMarginConfig
from prefdata.sources.preferences import PreferencesConfig

MAX_PROMPT_CHARS = 1_000_000


def ches_params(
    source: PreferencesConfig,
    model: ModelConfig,
    limit: ChesConfig | None = None,
    data: str = "data",
    memo: str | None = "data/memo",
    completion: Completion = "all",
) -> Params:
    """The flow that measures CHES of a preference dataset's own pairs.

    The dataset's rankings are the only judgments, so the flow reproduces its pairs. No stage stops
    because of faulty rows.

    Args:
        source: The dataset.
        model: The model that is to be trained.
        limit: Which pairs stay; None: all.
        data: The folder of all tables.
        memo: The folder of finished model calls; None: keep none.
        completion: What of the responses counts.
    """
    return Params(
        data=data,
        memo=memo,
        models={"policy": model},
        ingest=IngestParams(
            sources=[source],
            test_fraction=0,
            max_prompt_chars=MAX_PROMPT_CHARS,
            max_faulty_fraction=1,
        ),
        generate=GenerateParams(n=0, max_faulty_fraction=1),
        judge=JudgeParams(judges=[HumanConfig(annotations="ranking")], max_faulty_fraction=1),
        consensus=MeanConfig(max_faulty_fraction=1),
        ches=ChesParams(completion=completion, max_faulty_fraction=1),
        pair=PairParams(strategy=AllAboveMarginConfig(min_margin=0)),
        filter=FilterParams(filters=[limit] if limit else [], max_faulty_fraction=1),
    )
