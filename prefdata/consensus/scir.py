"""Self-consistency of internal rewards: only labels on which every opinion agrees.

Self-Consistent Internal Rewards (SCIR, arXiv 2502.08922): different internal reward models of
one policy often disagree, and preference data is kept only where they are consistent and
confident. The label is the mean of the opinions' P(a ≻ b).
"""

from __future__ import annotations

import polars as pl

from prefdata.consensus.base import Consensus, labelled, opinions


class Scir(Consensus):
    """See the module."""

    kind = "scir"

    def decide(self, judgments: pl.DataFrame) -> pl.DataFrame:
        agreed = (pl.col("for_a") == pl.col("scored")) | (pl.col("for_b") == pl.col("scored"))
        # Who all say the same don't disagree, also where they all say 0.5: that is a tie.
        same = pl.col("low") == pl.col("high")
        reason = pl.when(~agreed & ~same).then(pl.lit("disagreement"))
        return labelled(opinions(judgments), reason, self.config)
