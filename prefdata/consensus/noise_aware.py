"""Noise-aware labels: the least confident ones are marked, smoothed or dropped.

Selfie (arXiv 2406.04412, Section 4.3): labels made by a model are partly wrong, and wrong ones
lie among the least confident, so these are smoothed and the rest is taken at its word. PSLE
(arXiv 2408.02599): the threshold under which a label does not count is no constant. There it
decays from round to round; here it follows what the data of this round look like: both limits are
quantiles of the confidence of all labels, whichever bucket they lie in.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.consensus.base import ROUNDING, Consensus, ConsensusConfig, labelled, tally_judgments
from prefdata.consensus.scir import disagreement

FLAG = "least_confident"


class NoiseAwareConfig(ConsensusConfig):
    kind: Literal["noise_aware"] = "noise_aware"
    least_confident: float = Field(
        0.1, ge=0, lt=1, description="Fraction of all labels that is marked and smoothed."
    )
    smoothing: float = Field(
        0.1, ge=0, lt=0.5, description="Share of the marked labels taken to be the wrong way round."
    )
    drop: float = Field(
        0.0, ge=0, lt=1, description="Fraction of all labels, the least confident, that is dropped."
    )
    unanimous: bool = Field(False, description="Only where all judgments agree, as scir.")


class NoiseAware(Consensus):
    """See the module."""

    config: NoiseAwareConfig
    across_buckets = True

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        reason = disagreement() if self.config.unanimous else pl.lit(None, dtype=pl.String)
        labels = labelled(tally_judgments(judgments), reason, self.config)
        if across is None:
            return labels
        drop, mark = (
            _limit(across, fraction)
            for fraction in (self.config.drop, max(self.config.drop, self.config.least_confident))
        )
        p, sure = pl.col("preference"), _confidence()
        made = pl.col("reason").is_null()
        marked = made & (sure < mark)
        share = self.config.smoothing
        return labels.with_columns(
            preference=pl.when(marked).then((1 - share) * p + share * (1 - p)).otherwise(p),
            flag=pl.when(marked & (sure >= drop)).then(pl.lit(FLAG)),
            reason=pl.when(made & (sure < drop))
            .then(pl.lit("below_threshold"))
            .otherwise("reason"),
            detail=pl.when(made & (sure < drop))
            .then(
                pl.format(
                    "confidence {}, threshold {}; {}", sure.round(4), round(drop, 4), "detail"
                )
            )
            .otherwise("detail"),
        )

    def summarize(self, decided: pl.DataFrame) -> pl.DataFrame:
        labels = decided.filter(pl.col("reason").is_null())
        return labels.group_by(sure=_confidence()).agg(labels=pl.len()).sort("sure")


def _confidence() -> pl.Expr:
    # Rounded: the last bits of a label depend on which answer's id comes first.
    p = pl.col("preference")
    return pl.max_horizontal(p, 1 - p).round(9)


def _limit(across: pl.DataFrame, fraction: float) -> float:
    """The confidence under which at most `fraction` of all labels lie."""
    counts = across.group_by("sure").agg(pl.col("labels").sum()).sort("sure")
    total = int(counts["labels"].sum())
    below = counts.with_columns(below=pl.col("labels").cum_sum() - pl.col("labels"))
    allowed = below.filter(pl.col("below") <= fraction * total + ROUNDING)
    return float(allowed["sure"][-1]) if allowed.height else 0.5
