"""The mean judgment, whoever disagrees; with one judge, that judge's word."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.consensus.base import NO_REASON, Consensus, ConsensusConfig, labelled, tally_judgments


class MeanConfig(ConsensusConfig):
    kind: Literal["mean"] = "mean"


class Mean(Consensus):
    """See the module."""

    config: MeanConfig

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        return labelled(tally_judgments(judgments), NO_REASON, self.config)
