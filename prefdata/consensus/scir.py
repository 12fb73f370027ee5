"""Self-consistency of internal rewards: only labels on which every judgment agrees.

Self-Consistent Internal Rewards (SCIR, arXiv 2502.08922): different internal reward models of
one policy often disagree, and preference data is kept only where they are consistent and
confident. The label is the mean of the judgments' P(a ≻ b); `min_confidence` asks for confidence
of the mean, `min_each` of every single judgment.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.consensus.base import ROUNDING, Consensus, ConsensusConfig, labelled, tally_judgments


class ScirConfig(ConsensusConfig):
    kind: Literal["scir"] = "scir"
    min_each: float = Field(
        0.5, ge=0.5, le=1, description="Least P(preferred response) of every judgment."
    )


class Scir(Consensus):
    """See the module."""

    config: ScirConfig

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        return labelled(tally_judgments(judgments), disagreement(self.config.min_each), self.config)


def disagreement(min_each: float = 0.5) -> pl.Expr:
    """Why `tally_judgments` that don't all prefer the same response, each surely enough, make no label."""
    agreed = (pl.col("for_a") == pl.col("scored")) | (pl.col("for_b") == pl.col("scored"))
    # Who all say the same don't disagree, also where they all say 0.5: that is a tie.
    same = pl.col("high") - pl.col("low") <= ROUNDING
    least = pl.max_horizontal("low", 1 - pl.col("high")) + ROUNDING
    return (
        pl.when(~agreed & ~same)
        .then(pl.lit("disagreement"))
        .when(agreed & (least < min_each))
        .then(pl.lit("unsure_judgment"))
    )
