"""Reward head: preference pairs -> data/reward_head. A linear head over frozen embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prefdata.accounting.stats import Stats
from prefdata.config.params import Params, RewardHeadParams
from prefdata.engines.base import Requirement
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.pipelines.stages.base import Context, Stage
from prefdata.reward_head.files import save_head
from prefdata.reward_head.training import train_head

if TYPE_CHECKING:
    import apache_beam as beam


class RewardHeadStage(Stage):
    """Trains the head in one place: all pairs are one bucket."""

    name = "reward-head"
    summary = "train the linear reward head over frozen embeddings"
    section = "reward_head"
    unit = "pairs"
    optional = True

    def requirements(self, params: Params) -> list[Requirement]:
        return [Requirement.of(_settings(params).model, "embed")]

    def count_buckets(self, context: Context) -> int:
        return 1

    def ask_again(self, context: Context, bucket: int) -> None:
        train_head(_settings(context.params), context.inference())

    def begin(self, context: Context) -> None:
        storage.make_folder(_settings(context.params).out)

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        from prefdata.pipelines.beam.steps import apply_step, spread_buckets

        return apply_step(spread_buckets(pipeline, context), self.name, context, _train)

    def finish(self, context: Context, stats: Stats) -> None:
        """Nothing to mark: the head is one file, written atomically."""


def _train(context: Context, _: int) -> Iterator[Stats]:
    config, inference = _settings(context.params), context.inference()
    head = train_head(config, inference)
    save_head(config.out, head)
    pairs = head.pairs_train + head.pairs_heldout
    yield Stats(rows_in=pairs, rows_out=pairs, usage=inference.usage)


def _settings(params: Params) -> RewardHeadParams:
    if params.reward_head is None:
        raise ConfigError("reward_head: params.yaml has no such section", "Add it, with `data`.")
    return params.reward_head
