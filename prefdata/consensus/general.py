"""General preferences, which may go in circles."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.win_matrix import mark_cycles
from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)

CYCLE = "cycle"


class GeneralConfig(ConsensusConfig):
    kind: Literal["general"] = "general"
    cycles: Literal["keep", "drop"] = Field(
        "keep", description="What happens to labels on a circle.", examples=["drop"]
    )


class General(Consensus):
    """The mean P(a ≻ b), even where the preferences of a prompt go in circles.

    For methods that need no reward of a response: Nash learning (arXiv 2312.00886), INPO (arXiv
    2407.00617). Nothing is fitted; a label whose two responses lie on a circle of majorities is
    flagged `cycle`, or dropped.
    """

    config: GeneralConfig

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        tally = tally_judgments(judgments)
        cycles = mark_cycles(tally.select(*COMPARISON, p="mean"))
        tally = tally.join(cycles, on=COMPARISON, how="left", maintain_order="left")
        cycle = pl.when(pl.col("cycle")).then(pl.lit(CYCLE))
        if self.config.cycles == "drop":
            return label_comparisons(tally, self.config, reason=cycle)
        return label_comparisons(tally, self.config, flag=cycle)
