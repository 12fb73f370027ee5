"""Preference strength: labels in bands, from plainly wrong ones to plainly right ones.

Secrets of RLHF in Large Language Models Part II (arXiv 2401.06080, Section 2): the mean and the
spread of several reward models' margins say how strong a preference is. Labels with a strongly
negative strength are mostly wrong and better turned round; those around zero are ambiguous and
are smoothed; those above are kept. `label` names the judge whose labels are examined (people's
ratings, say), the others are the ensemble; without it the ensemble's own mean is the label, which
can be ambiguous but not wrong. A judge that is an ensemble itself brings its members' spread: the
whole spread is that of all members, each judge weighing alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.consensus.base import (
    COMPARISON,
    ROUNDING,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
)
from prefdata.records.judgment import SPEAKER
from prefdata.statistics.odds import log_odds, sigmoid

FLIPPED, AMBIGUOUS = "flipped", "ambiguous"


class StrengthConfig(ConsensusConfig):
    kind: Literal["strength"] = "strength"
    label: str | None = Field(None, description="The judge whose labels are examined.")
    flip_below: float = Field(
        -1.0, le=0, description="Strength, in log-odds, under which a label is turned round."
    )
    keep_above: float = Field(
        0.5, ge=0, description="Strength from which a label is kept as it is; below: ambiguous."
    )
    max_spread: float | None = Field(
        None,
        gt=0,
        description="Standard deviation of the margins, in log-odds, above which it is ambiguous.",
    )
    ambiguous: Literal["smooth", "drop"] = "smooth"
    smoothing: float = Field(0.1, ge=0, lt=0.5, description="Of the ambiguous labels.")

    @model_validator(mode="after")
    def _bands_are_apart(self) -> StrengthConfig:
        if self.flip_below > -self.keep_above and self.label is not None:
            raise ValueError(
                f"flip_below {self.flip_below} has to be at most -keep_above ({-self.keep_above}): "
                "else a label turned round would itself be ambiguous"
            )
        return self


class Strength(Consensus):
    """See the module."""

    config: StrengthConfig

    def judges(self) -> Sequence[str]:
        return [] if self.config.label is None else [self.config.label]

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        config = self.config
        examined = pl.col("judge") == pl.lit(config.label)
        ensemble = judgments if config.label is None else judgments.filter(~examined)
        odds = log_odds(pl.col("preference"))
        # In scores; what a score is worth in log-odds, the judge's own margin says.
        margin = (pl.col("reward_a") - pl.col("reward_b")).abs()
        within = pl.when(margin > 0).then(pl.col("spread") * odds.abs() / margin).fill_null(0.0)
        margins = (
            ensemble.sort(*SPEAKER, *COMPARISON)
            .group_by(COMPARISON, maintain_order=True)
            .agg(
                strength=odds.mean(),
                # The variance of all is that between the judges and the mean of those within.
                spread=(odds.var(ddof=0) + within.filter(odds.is_not_null()).pow(2).mean()).sqrt(),
            )
        )
        counted = tally_judgments(judgments).join(
            margins, on=COMPARISON, how="left", maintain_order="left"
        )
        given = sigmoid(pl.col("strength"))
        if config.label is not None:
            own = judgments.filter(examined).sort(*SPEAKER, *COMPARISON).group_by(COMPARISON)
            said = own.agg(given=pl.col("preference").mean())
            counted = counted.join(said, on=COMPARISON, how="left", maintain_order="left")
            given = pl.col("given")
        side = pl.when(given > 0.5).then(1.0).otherwise(-1.0)
        tie = (given - 0.5).abs() <= ROUNDING
        towards = pl.col("strength") * side
        flipped = (towards + ROUNDING < config.flip_below) & pl.lit(config.label is not None)
        weak = ~flipped & (towards + ROUNDING < config.keep_above)
        if config.max_spread is not None:
            weak = weak | (pl.col("spread") - ROUNDING > config.max_spread)
        share = config.smoothing
        label = (
            pl.when(weak)
            .then((1 - share) * given + share * (1 - given))
            .when(flipped)
            .then(1 - given)
            .otherwise(given)
        )
        missing = given.is_null() | pl.col("strength").is_null()
        reason: pl.Expr = (
            pl.when(missing).then(pl.lit("too_few_judgments")).when(tie).then(pl.lit("tie"))
        )
        if config.ambiguous == "drop":
            reason = pl.coalesce(reason, pl.when(weak).then(pl.lit(AMBIGUOUS)))
        flag = pl.when(weak).then(pl.lit(AMBIGUOUS)).when(flipped).then(pl.lit(FLIPPED))
        return labelled(counted, reason, config, label, flag)
