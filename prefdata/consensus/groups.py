"""Groups of annotators kept apart."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import prefers_a, prefers_b
from prefdata.consensus.base import (
    NO_REASON,
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER

DISAGREE = "groups_disagree"


class GroupsConfig(ConsensusConfig):
    kind: Literal["groups"] = "groups"
    groups: list[str] | None = Field(
        None, min_length=1, examples=[["nurses", "doctors"]],
        description="The groups that count, and must all have judged; null: all that have judged.",
    )  # fmt: skip
    disagreeing: Literal["drop", "flag"] = Field(
        "drop", description="What happens to labels that divide the groups.", examples=["flag"]
    )


class Groups(Consensus):
    """The worst-off group decides, and every group must have judged.

    MaxMin-RLHF (Chakraborty et al., arXiv 2402.08925): one reward for all follows the majority, so
    the least utility of any group is maximised instead, after the egalitarian principle. A group's
    preference is the mean of its members' P(a ≻ b), so that a large group weighs no more than a
    small one. Where no two groups prefer different responses, the label is that of the least
    convinced group (a tie, if it prefers neither). Where two groups do, there is no label; with
    `disagreeing: flag` the label is (min + max) / 2 of the groups' preferences, which prefers the
    response whose worst-off group loses less, and it is flagged. A model, or an annotator
    without a group, is a group of one.
    """

    config: GroupsConfig

    @property
    def needs_annotators(self) -> bool:
        return self.config.groups is not None

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        wanted = self.config.groups
        if wanted is not None:
            # Other groups' judgments are blanked, not removed, so that every comparison stays.
            counts = pl.col("group").is_in(wanted).fill_null(False)
            judgments = judgments.with_columns(
                preference=pl.when(counts).then("preference"),
                unscored=pl.when(counts).then("unscored").otherwise(pl.lit(NOT_ANNOTATED)),
            )
        tally = tally_judgments(judgments).drop("listed")
        tally = tally.join(_tally_groups(judgments), on=COMPARISON, how="left")
        tally = tally.with_columns(pl.col("listed").fill_null("no group has judged it"))
        least, most = pl.col("least"), pl.col("most")
        for_a, for_b = prefers_a(most), prefers_b(least)
        preference = (
            pl.when(for_a & for_b).then((least + most) / 2).when(for_a).then(least).otherwise(most)
        )
        reason: pl.Expr = NO_REASON
        if wanted is not None:
            missing = pl.col("groups").fill_null(0) < len(set(wanted))
            reason = pl.when(missing).then(pl.lit("missing_group"))
        disagree = pl.when(for_a & for_b).then(pl.lit(DISAGREE))
        if self.config.disagreeing == "drop":
            reason = pl.coalesce(reason, disagree)
            return label_comparisons(tally, self.config, reason, preference)
        return label_comparisons(tally, self.config, reason, preference, disagree)


def _tally_groups(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per comparison: `least` and `most` of the groups' P(a ≻ b), `groups`, `listed`."""
    speaker = pl.concat_str("judge", "annotator", separator=" ", ignore_nulls=True)
    alone = pl.when(pl.col("group").is_null()).then(speaker)
    p = pl.col("p")
    listed = pl.format("{} {}", pl.coalesce("group", "alone"), p.round(3).cast(pl.String))
    return (
        judgments.drop_nulls("preference")
        .sort(*SPEAKER, *COMPARISON)
        .group_by(*COMPARISON, "group", alone.alias("alone"), maintain_order=True)
        .agg(p=pl.col("preference").mean())
        .group_by(COMPARISON)
        .agg(least=p.min(), most=p.max(), groups=pl.len(), listed=listed.sort().str.join(", "))
    )
