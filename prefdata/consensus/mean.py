"""The mean opinion, whoever disagrees; with one judge, that judge's word."""

from __future__ import annotations

import polars as pl

from prefdata.consensus.base import NO_REASON, Consensus, labelled, opinions


class Mean(Consensus):
    """See the module."""

    kind = "mean"

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        return labelled(opinions(judgments), NO_REASON, self.config)
