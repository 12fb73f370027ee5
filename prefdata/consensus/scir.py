"""Self-consistency of internal rewards."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.ties import TOLERANCE
from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)
from prefdata.parts.numbers import Count, Real


class ScirConfig(ConsensusConfig):
    kind: Literal["scir"] = "scir"
    min_judgments: Count = Field(
        2, examples=[3],
        description="Scored judgments that a comparison must have: one alone agrees with nobody.",
    )  # fmt: skip
    min_each: Real = Field(
        0.5, ge=0.5, le=1, examples=[0.6],
        description="Least P(preferred response) of every judgment.",
    )  # fmt: skip


class Scir(Consensus):
    """Labels only comparisons on which every judgment agrees.

    Self-Consistent Internal Rewards (SCIR, arXiv 2502.08922): different internal reward models of
    one policy often disagree, and preference data is kept only where they are consistent and
    confident. The label is the mean of the judgments' P(a ≻ b); `min_confidence` is the least
    confidence of the mean, `min_each` that of every single judgment.

    Left out of the paper: its internal rewards are those of the policy that is being trained, which
    is also taught to be consistent by a loss of its own and asked again in every step; here they
    are the judgments of any judges, taken once.
    """

    config: ScirConfig

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        reason = find_disagreement(self.config.min_each)
        return label_comparisons(tally_judgments(judgments), self.config, reason)


def find_disagreement(min_each: float = 0.5) -> pl.Expr:
    """The reason why the judgments in a row of `tally_judgments` disagree; null where they agree.

    They agree where all prefer the same response, each with a confidence of `min_each` or more.
    """
    agree = (pl.col("for_a") == pl.col("scored")) | (pl.col("for_b") == pl.col("scored"))
    # Judgments that are all 0.5 don't disagree: that is a tie.
    equal = pl.col("high") - pl.col("low") <= TOLERANCE
    least = pl.max_horizontal("low", 1 - pl.col("high")) + TOLERANCE
    return (
        pl.when(~agree & ~equal)
        .then(pl.lit("disagreement"))
        .when(agree & (least < min_each))
        .then(pl.lit("unsure_judgment"))
    )
