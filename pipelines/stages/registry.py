"""All stages, in the order in which they run.

Commands, the summary, the documentation and the check of dvc.yaml derive from these. Importing
them loads no Beam.
"""

from __future__ import annotations

from prefdata.pipelines.stages.augment import AugmentStage
from prefdata.pipelines.stages.base import Stage
from prefdata.pipelines.stages.ches import ChesStage
from prefdata.pipelines.stages.consensus import ConsensusStage
from prefdata.pipelines.stages.export import ExportStage
from prefdata.pipelines.stages.filter import FilterStage
from prefdata.pipelines.stages.generate import GenerateStage
from prefdata.pipelines.stages.ingest import IngestStage
from prefdata.pipelines.stages.judge import JudgeStage
from prefdata.pipelines.stages.pair import PairStage
from prefdata.pipelines.stages.reward_head import RewardHeadStage
from prefdata.pipelines.stages.top_up import TopUpStage

STAGES: tuple[Stage, ...] = (
    RewardHeadStage(),
    IngestStage(),
    GenerateStage(),
    JudgeStage(),
    ConsensusStage(),
    ChesStage(),
    PairStage(),
    AugmentStage(),
    FilterStage(),
    ExportStage(),
)

TOP_UP = TopUpStage()
"""Plans more samples for prompts that fell short; between filter and export, where wanted."""


def find_stage(name: str) -> Stage:
    """The stage of that name."""
    return next(stage for stage in (*STAGES, TOP_UP) if stage.name == name)
