"""Cal-DPO's calibrated scale: the distance that implicit rewards should have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.augment.base import (
    NO_MARGIN,
    Augmentation,
    AugmentationConfig,
    Augmented,
    PairBucket,
    explain_nulls,
)
from prefdata.inference import Inference
from prefdata.statistics.odds import log_odds


class CalibratedConfig(AugmentationConfig):
    kind: Literal["calibrated"] = "calibrated"
    by: Literal["preference", "log_odds", "margin"] = Field(
        "preference",
        description="What the true rewards are taken from: preference (chosen 1/2, rejected -1/2, "
        "as in the paper), log_odds (of the label, as a Bradley-Terry model has them) or margin "
        "(of the judges' rewards, which may be below 0).",
        examples=["log_odds"],
    )


class Calibrated(Augmentation):
    """The distance between the true rewards of chosen and rejected, to which Cal-DPO calibrates
    the implicit rewards, half of it on either side of 0 (arXiv 2412.14516).

    The paper's loss adds (h_chosen - target_margin / (2 beta))^2 + (h_rejected + target_margin /
    (2 beta))^2 to that of the pair, with h the log ratios of the policy to its reference; the
    authors' code adds half of it.
    """

    config: CalibratedConfig
    columns: ClassVar[tuple[str, ...]] = ("target_margin",)
    explained: ClassVar[tuple[str, ...]] = ("target_margin",)

    def takes(self) -> Sequence[str]:
        return ("margin",) if self.config.by == "margin" else ()

    def augment(self, bucket: PairBucket, inference: Inference) -> Augmented:
        target = {
            "preference": pl.lit(1.0),
            "log_odds": log_odds(pl.col("soft_label")),
            "margin": pl.col("margin"),
        }[self.config.by]
        pairs = bucket.pairs.with_columns(target_margin=target)
        return Augmented(pairs, explain_nulls(pairs, "target_margin", NO_MARGIN, fault=False))
