"""Groups kept apart: a label needs every group, and the worst-off group decides.

MaxMin-RLHF (Chakraborty et al., arXiv 2402.08925): one reward for all follows the majority, so the
least utility of any group is what is maximised, after the egalitarian principle. A group's
preference is the mean of its members' P(a ≻ b), so that a large group weighs no more than a small
one. Where no two groups prefer different responses the label is that of the least convinced group (a
tie, if that can't decide). Where two do there is none, or, with `disagreeing: flag`, the response is
preferred whose worst-off group loses less, by (min + max) / 2 of the groups' preferences, and the
label is marked. Who has no group, a model or an annotator, is one alone.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.consensus.base import (
    COMPARISON,
    NO_REASON,
    ROUNDING,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
)
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER

DISAGREE = "groups_disagree"


class GroupsConfig(ConsensusConfig):
    kind: Literal["groups"] = "groups"
    groups: list[str] | None = Field(
        None, min_length=1, description="Groups that must all be heard, and alone; null: who spoke."
    )
    disagreeing: Literal["drop", "flag"] = Field(
        "drop", description="Labels on which the groups disagree."
    )


class Groups(Consensus):
    """See the module."""

    config: GroupsConfig

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        wanted = self.config.groups
        counted = judgments
        if wanted is not None:
            # The comparison stays where no wanted group speaks: it lacks them.
            named = pl.col("group").is_in(wanted).fill_null(False)
            counted = judgments.with_columns(
                preference=pl.when(named).then("preference"),
                unscored=pl.when(named).then("unscored").otherwise(pl.lit(NOT_ANNOTATED)),
            )
        itself = pl.concat_str("judge", "annotator", separator=" ", ignore_nulls=True)
        alone = pl.when(pl.col("group").is_null()).then(itself)
        each = (
            counted.drop_nulls("preference")
            .sort(*SPEAKER, *COMPARISON)
            .group_by(*COMPARISON, "group", alone.alias("alone"), maintain_order=True)
            .agg(p=pl.col("preference").mean())
        )
        p = pl.col("p")
        said = pl.format("{} {}", pl.coalesce("group", "alone"), p.round(3).cast(pl.String))
        found = each.group_by(COMPARISON).agg(
            least=p.min(), most=p.max(), groups=pl.len(), said=said.sort().str.join(", ")
        )
        rows = tally_judgments(counted).drop("said").join(found, on=COMPARISON, how="left")
        rows = rows.with_columns(pl.col("said").fill_null("no group has said anything"))
        least, most = pl.col("least"), pl.col("most")
        prefer_a, prefer_b = most > 0.5 + ROUNDING, least < 0.5 - ROUNDING
        label = (
            pl.when(prefer_a & prefer_b)
            .then((least + most) / 2)
            .when(prefer_a)
            .then(least)
            .otherwise(most)
        )
        reason: pl.Expr = NO_REASON
        if wanted is not None:
            missing = pl.col("groups").fill_null(0) < len(set(wanted))
            reason = pl.when(missing).then(pl.lit("missing_group"))
        disagreed = pl.when(prefer_a & prefer_b).then(pl.lit(DISAGREE))
        if self.config.disagreeing == "drop":
            return labelled(rows, pl.coalesce(reason, disagreed), self.config, label)
        return labelled(rows, reason, self.config, label, disagreed)
