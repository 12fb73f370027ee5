"""Augment: data/pairs, data/judgments -> data/augmented. Rewards, margin, every judgment."""

from __future__ import annotations

import polars as pl

from prefdata.augment.rewards import add_rewards, check_names
from prefdata.config.params import Params
from prefdata.engines.base import Need
from prefdata.judges import registry as judges
from prefdata.pipelines.stages.base import Outcome, Run, Stage
from prefdata.records import Dropped
from prefdata.records.base import polars_schema


def work(run: Run, bucket: int) -> Outcome:
    """Augment one bucket's pairs."""
    pairs = run.read("pairs", bucket)
    augmented = add_rewards(pairs, run.read("judgments", bucket), run.params.augment.rewards)
    return Outcome(pairs.height, augmented, pl.DataFrame(schema=polars_schema(Dropped)))


def requirements(params: Params) -> list[Need]:
    """No model; checks that the rewards are judges'."""
    names = [judge.name for judge in judges.build(params.judge.judges)]
    check_names(params.augment.rewards, names)
    return []


STAGE = Stage("augment", "pairs", ["pairs", "judgments"], work, needs)
