"""The mean judgment."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)


class MeanConfig(ConsensusConfig):
    kind: Literal["mean"] = "mean"


class Mean(Consensus):
    """The mean of all judgments, however much they disagree."""

    config: MeanConfig

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        return label_comparisons(tally_judgments(judgments), self.config)
