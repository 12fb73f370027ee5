"""Augment: data/pairs, data/judgments -> data/augmented. Adds rewards and judgments to pairs."""

from __future__ import annotations

import polars as pl

from prefdata.augment.base import Augmentation
from prefdata.augment.registry import AUGMENTATIONS
from prefdata.config.params import Params
from prefdata.engines.base import Requirement
from prefdata.parts.judge_names import check_judges
from prefdata.pipelines.stages.base import BucketStage, Context, Outcome
from prefdata.pipelines.stages.judge import name_judges
from prefdata.records import AugmentedPair
from prefdata.records.base import fill_columns
from prefdata.records.dropped import no_dropped
from prefdata.records.judgment import JUDGED

WHERE = "augment.augmentations"


class AugmentStage(BucketStage):
    """Applies the augmentations in their order."""

    name = "augment"
    summary = "put rewards, the margin and every judgment beside each pair"
    section = "augment"
    table = "augmented"
    parts = AUGMENTATIONS
    takes = "pairs"
    unit = "pairs"

    def reads(self, params: Params) -> list[str]:
        return ["pairs", "judgments"]

    def requirements(self, params: Params) -> list[Requirement]:
        parts = AUGMENTATIONS.build_all(params.augment.augmentations, WHERE)
        return [requirement for part in parts for requirement in part.requirements()]

    def check(self, context: Context) -> None:
        names = name_judges(context.params)
        for part in _augmentations(context):
            check_judges(part, names)

    def work(self, context: Context, bucket: int) -> Outcome:
        pairs = rows = context.read("pairs", bucket)
        judgments = context.read("judgments", bucket, JUDGED)
        for part in _augmentations(context):
            rows = part.augment(rows, judgments)
        filled = fill_columns(rows, AugmentedPair).with_columns(pl.col("judgments").fill_null([]))
        return Outcome(pairs.height, filled, no_dropped())


def _augmentations(context: Context) -> list[Augmentation]:
    configs = context.params.augment.augmentations
    return context.runtime.parts(AUGMENTATIONS, configs, WHERE)
