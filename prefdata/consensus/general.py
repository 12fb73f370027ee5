"""General preferences: the raw mean P(a ≻ b), also where a prompt's candidates go in circles.

For methods that need no score a candidate: Nash learning (arXiv 2312.00886), INPO (arXiv
2407.00617). Nothing is fitted; a label whose two responses lie on a circle of majorities is marked
`cycle`, or dropped where such labels are not wanted.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.consensus.base import (
    COMPARISON,
    NO_REASON,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
)
from prefdata.consensus.win_matrix import circular

CYCLE = "cycle"


class GeneralConfig(ConsensusConfig):
    kind: Literal["general"] = "general"
    cycles: Literal["keep", "drop"] = Field("keep", description="Labels that go in circles.")


class General(Consensus):
    """See the module."""

    config: GeneralConfig

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        counted = tally_judgments(judgments)
        circles = circular(counted.select(*COMPARISON, p="mean"))
        counted = counted.join(circles, on=COMPARISON, how="left", maintain_order="left")
        cycle = pl.when(pl.col("cycle")).then(pl.lit(CYCLE))
        if self.config.cycles == "drop":
            return labelled(counted, cycle, self.config)
        return labelled(counted, NO_REASON, self.config, flag=cycle)
