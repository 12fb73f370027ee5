"""Labels that allow for noise."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.ties import TOLERANCE
from prefdata.consensus.base import (
    NO_REASON,
    ConsensusConfig,
    SummaryConsensus,
    label_comparisons,
    tally_judgments,
)
from prefdata.consensus.scir import find_disagreement
from prefdata.parts.numbers import Real

FLAG = "least_confident"


class NoiseAwareConfig(ConsensusConfig):
    kind: Literal["noise_aware"] = "noise_aware"
    least_confident: Real = Field(
        0.1, ge=0, lt=1, examples=[0.3],
        description="Fraction of all labels that is flagged and smoothed.",
    )  # fmt: skip
    smoothing: Real = Field(
        0.1, ge=0, lt=0.5, examples=[0.2],
        description="Share of the flagged labels that is assumed to be wrong.",
    )  # fmt: skip
    drop: Real = Field(
        0.0, ge=0, lt=1, examples=[0.1],
        description="Fraction of all labels, the least confident, that is dropped.",
    )  # fmt: skip
    unanimous: bool = Field(
        False, description="Label only where all judgments agree, as scir.", examples=[True]
    )


class NoiseAware(SummaryConsensus):
    """The least confident labels are flagged, smoothed or dropped.

    Selfie (arXiv 2406.04412, Section 4.3): labels made by a model are partly wrong, mostly the
    least confident ones, so these are smoothed and the others are trusted. PSLE
    (arXiv 2408.02599): the threshold below which a label is discarded is not constant. In the
    paper it decays from round to round; here both limits are quantiles of the confidence of all
    labels, over all buckets.

    Simplified: Selfie finds noisy labels by a detection that is decoupled from the model in
    training, whose logits are extrapolated from those of the current and the initial one; here the
    confidence of the judgments takes its place, so an error that all judges share stays.
    """

    config: NoiseAwareConfig

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        reason = find_disagreement() if self.config.unanimous else NO_REASON
        return label_comparisons(tally_judgments(judgments), self.config, reason)

    def summarize(self, decided: pl.DataFrame) -> pl.DataFrame:
        labels = decided.filter(pl.col("reason").is_null())
        return labels.group_by(confidence=_confidence()).agg(labels=pl.len()).sort("confidence")

    def revise(self, decided: pl.DataFrame, across: pl.DataFrame) -> pl.DataFrame:
        config = self.config
        drop = _find_limit(across, config.drop)
        flag = _find_limit(across, max(config.drop, config.least_confident))
        p, confidence = pl.col("preference"), _confidence()
        labelled = pl.col("reason").is_null()
        dropped, least = labelled & (confidence < drop), labelled & (confidence < flag)
        detail = pl.format(
            "confidence {}, threshold {}; {}", confidence.round(4), round(drop, 4), "detail"
        )
        smoothed = (1 - config.smoothing) * p + config.smoothing * (1 - p)
        return decided.with_columns(
            preference=pl.when(least).then(smoothed).otherwise(p),
            flag=pl.when(least & ~dropped).then(pl.lit(FLAG)),
            reason=pl.when(dropped).then(pl.lit("below_threshold")).otherwise("reason"),
            detail=pl.when(dropped).then(detail).otherwise("detail"),
        )


def _confidence() -> pl.Expr:
    # Rounded: the last bits of a label depend on the order of the two ids.
    p = pl.col("preference")
    return pl.max_horizontal(p, 1 - p).round(9)


def _find_limit(across: pl.DataFrame, fraction: float) -> float:
    """The confidence below which at most `fraction` of all labels lie."""
    counts = across.group_by("confidence").agg(pl.col("labels").sum()).sort("confidence")
    total = int(counts["labels"].sum())
    below = counts.with_columns(below=pl.col("labels").cum_sum() - pl.col("labels"))
    allowed = below.filter(pl.col("below") <= fraction * total + TOLERANCE)
    return float(allowed["confidence"][-1]) if allowed.height else 0.5
