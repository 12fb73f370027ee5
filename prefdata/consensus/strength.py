"""Preference strength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import TOLERANCE, is_tie
from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)
from prefdata.parts.numbers import Real, Scale
from prefdata.records.judgment import SPEAKER
from prefdata.statistics.odds import log_odds, sigmoid

FLIPPED, AMBIGUOUS = "flipped", "ambiguous"


class StrengthConfig(ConsensusConfig):
    kind: Literal["strength"] = "strength"
    label: str | None = Field(
        None, examples=["pairwise"],
        description="The judge whose labels are examined; null: the mean of all is the label.",
    )  # fmt: skip
    flip_below: Real = Field(
        -1.0, ge=-1e9, le=0, examples=[-2.0],
        description="Strength, in log-odds, below which a label is flipped.",
    )  # fmt: skip
    keep_above: Real = Field(
        0.5, ge=0, le=1e9, examples=[0.7],
        description="Least strength of a label that is kept as it is; weaker labels are ambiguous.",
    )  # fmt: skip
    max_spread: Scale | None = Field(
        None, examples=[0.5],
        description="Standard deviation of the margins, in log-odds, above which a label is "
        "ambiguous; null: no limit.",
    )  # fmt: skip
    ambiguous: Literal["smooth", "drop"] = Field(
        "smooth", description="What happens to ambiguous labels.", examples=["drop"]
    )
    smoothing: Real = Field(
        0.1, ge=0, lt=0.5, examples=[0.2],
        description="Share of the ambiguous labels that is assumed to be wrong.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _bands_are_apart(self) -> StrengthConfig:
        if self.flip_below > -self.keep_above and self.label is not None:
            raise ValueError(
                f"flip_below {self.flip_below} has to be at most -keep_above ({-self.keep_above}): "
                "else a flipped label would itself be ambiguous"
            )
        return self


class Strength(Consensus):
    """Labels in bands, from plainly wrong ones to plainly right ones.

    Secrets of RLHF in Large Language Models Part II (arXiv 2401.06080, Section 2): the mean and
    the spread of several reward models' margins say how strong a preference is. Labels of
    strongly negative strength are mostly wrong and are flipped; those around zero are ambiguous
    and are smoothed; stronger ones are kept. `label` names the judge whose labels are examined
    (annotators' ratings, say), and all other judges are the ensemble. Without it the ensemble's
    mean is the label, which can be ambiguous but not wrong. Where a judge is itself an ensemble,
    the spread of its members counts too; every judge has the same weight.

    Simplified: the paper orders all pairs by strength and sets the bands by their share of the
    data, found per dataset; here they are limits in log-odds, so that a label depends on its own
    judgments alone. Its adaptive margin is the column `margin`, by other judges.
    """

    config: StrengthConfig

    def judges(self) -> Sequence[str]:
        return [] if self.config.label is None else [self.config.label]

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        config = self.config
        has_label = config.label is not None
        tally = self._join_strength(judgments)
        examined = pl.col("examined")
        direction = pl.when(examined > 0.5).then(1.0).otherwise(-1.0)
        strength = pl.col("strength") * direction + TOLERANCE
        flipped = (strength < config.flip_below) & pl.lit(has_label)
        weak = ~flipped & (strength < config.keep_above)
        if config.max_spread is not None:
            weak = weak | (pl.col("spread") - TOLERANCE > config.max_spread)
        preference = (
            pl.when(weak)
            .then((1 - config.smoothing) * examined + config.smoothing * (1 - examined))
            .when(flipped)
            .then(1 - examined)
            .otherwise(examined)
        )
        missing = examined.is_null() | pl.col("strength").is_null()
        reason: pl.Expr = (
            pl.when(missing)
            .then(pl.lit("too_few_judgments"))
            .when(is_tie(examined))
            .then(pl.lit("tie"))
        )
        if config.ambiguous == "drop":
            reason = pl.coalesce(reason, pl.when(weak).then(pl.lit(AMBIGUOUS)))
        flag = pl.when(weak).then(pl.lit(AMBIGUOUS)).when(flipped).then(pl.lit(FLIPPED))
        return label_comparisons(tally, config, reason, preference, flag)

    def _join_strength(self, judgments: pl.DataFrame) -> pl.DataFrame:
        """`tally_judgments` with `strength` and `spread`, the mean and standard deviation of the
        ensemble's margins in log-odds, and `examined`, the P(a ≻ b) that they examine."""
        tally = tally_judgments(judgments)
        label = self.config.label
        is_examined = pl.col("judge") == pl.lit(label)
        ensemble = judgments if label is None else judgments.filter(~is_examined)
        odds = log_odds(pl.col("preference"))
        # `spread` is in the unit of the reward; odds / margin converts it to log-odds.
        margin = (pl.col("reward_a") - pl.col("reward_b")).abs()
        within = pl.when(margin > 0).then(pl.col("spread") * odds.abs() / margin).fill_null(0.0)
        margins = (
            ensemble.sort(*SPEAKER, *COMPARISON)
            .group_by(COMPARISON, maintain_order=True)
            .agg(
                strength=odds.mean(),
                # Total variance: that between the judges plus the mean of those within each.
                spread=(odds.var(ddof=0) + within.filter(odds.is_not_null()).pow(2).mean()).sqrt(),
            )
        )
        tally = tally.join(margins, on=COMPARISON, how="left", maintain_order="left")
        if label is None:
            return tally.with_columns(examined=sigmoid(pl.col("strength")))
        labels = judgments.filter(is_examined).sort(*SPEAKER, *COMPARISON).group_by(COMPARISON)
        examined = labels.agg(examined=pl.col("preference").mean())
        return tally.join(examined, on=COMPARISON, how="left", maintain_order="left")
