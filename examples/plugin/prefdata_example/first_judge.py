"""A consensus that follows a single judge."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.consensus.base import Consensus, ConsensusConfig, label_comparisons, tally_judgments


class FirstJudgeConfig(ConsensusConfig):
    kind: Literal["first_judge"] = "first_judge"


class FirstJudge(Consensus):
    """Labels by the judgments of the judge whose name comes first in the alphabet."""

    config: FirstJudgeConfig

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        first = judgments.filter(pl.col("judge") == pl.col("judge").min())
        no_reason = pl.lit(None, dtype=pl.String)
        return label_comparisons(tally_judgments(first), self.config, no_reason)
