"""The mean opinion, whoever disagrees; with one judge, that judge's word."""

from __future__ import annotations

import polars as pl

from prefdata.consensus.base import Consensus, labelled, opinions


class Mean(Consensus):
    """See the module."""

    kind = "mean"

    def decide(self, judgments: pl.DataFrame) -> pl.DataFrame:
        return labelled(opinions(judgments), pl.lit(None, dtype=pl.String), self.config)
