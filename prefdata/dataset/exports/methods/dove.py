"""The form of DOVE: comparisons of a response to one prompt with a response to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.judgments import list_judgments
from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs
from prefdata.parts.numbers import Real, Whole
from prefdata.records.base import Record


class JointPreference(Record):
    """One row for DOVE."""

    sort_by: ClassVar[tuple[str, ...]] = ("chosen_id", "rejected_id")

    i_chosen: str = Field(description="The prompt of the chosen response: the user's turn.")
    r_chosen: str = Field(description="The chosen response.")
    i_reject: str = Field(description="The prompt of the rejected response.")
    r_reject: str = Field(description="The rejected response.")
    chosen_id: str = Field(description="The chosen response's id; not read.")
    rejected_id: str = Field(description="The rejected response's id; not read.")


class DoveConfig(PlainConfig):
    kind: Literal["dove"] = "dove"
    judge: str = Field(
        min_length=1,
        description="The judge whose rewards compare responses to different prompts. Its scale "
        "has to be one for all prompts: a rubric's, as of pointwise, or a verifier's. A reward "
        "model that was trained on comparisons has none.",
        examples=["implicit_reward"],
    )
    min_margin: Real = Field(
        0.0,
        ge=0,
        le=1_000_000,
        description="Rewards have to differ by more than this to be a comparison of two prompts.",
        examples=[0.5],
    )
    digits: Whole = Field(
        1,
        ge=0,
        le=8,
        description="Only prompts are compared whose ids begin with the same hexadecimal digits, "
        "this many, so that the rows depend on no bucket: 1 serves up to 16 buckets, 2 up to 256.",
        examples=[2],
    )

    example: ClassVar[dict[str, Any]] = {"judge": "pointwise"}


class Dove(PlainPairs):
    """Pairs of one turn, and beside them comparisons of responses to different prompts, for DOVE.

    Comparing Bad Apples to Good Oranges (Bansal et al., arXiv 2404.00530) learns from both: a
    comparison across prompts says something of chosen against chosen and rejected against rejected
    responses, which no pair does. Each prompt is compared with the next one of its split by id, by
    its most decided pair: chosen with chosen, and rejected with rejected. The response of the
    higher reward is chosen. The columns are those that `train.py` of the authors reads.

    Simplified: in the paper a model is shown both prompts and both responses; here a judge rated
    each response by itself.
    """

    config: DoveConfig
    record = JointPreference
    usage = "{name}/train.jsonl  # the rows that the code of DOVE reads"
    one_turn = True
    system_turn = False
    file_format = "jsonl"
    one_file = True
    needs_judgments = True
    one_way = (
        "Its comparisons are of responses to different prompts, and a ranking is of one prompt."
    )
    cannot_carry = (
        "Conversations, system turns, tools and calls, labels, margins and judgments; thoughts "
        "only inline."
    )

    def judges(self) -> Sequence[str]:
        return [self.config.judge]

    def rewarding_judges(self) -> Sequence[str]:
        return [self.config.judge]

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        within = pairs.select(
            "split",
            "chosen_id",
            "rejected_id",
            i_chosen="question",
            r_chosen="chosen",
            i_reject="question",
            r_reject="rejected",
        )
        across = [self._compare_prompts(pairs, side) for side in SIDES]
        rows = pl.concat([within, *(each.select(within.columns) for each in across)])
        return Formatted(rows, units_out=pairs.height)

    def _compare_prompts(self, pairs: pl.DataFrame, side: str) -> pl.DataFrame:
        """The rows of each prompt's response of this side against that of the next prompt."""
        decided = pl.col("soft_label").round(12)
        first = pairs.sort(decided, "pair_id", descending=[True, False]).unique(
            "prompt_id", keep="first", maintain_order=True
        )
        own = first.sort("prompt_id").join(
            self._average_rewards(first, side), on="pair_id", how="left", maintain_order="left"
        )
        near = pl.col("prompt_id").str.head(self.config.digits)
        values = {"i": "question", "r": side, "id": f"{side}_id", "reward": "own_reward"}
        both = own.select(
            "split",
            *(pl.col(column).alias(f"{name}_one") for name, column in values.items()),
            *(
                pl.col(column).shift(-1).over("split", near).alias(f"{name}_two")
                for name, column in values.items()
            ),
        )
        margin = (pl.col("reward_one") - pl.col("reward_two")).round(9)
        both = both.filter(margin.abs() > self.config.min_margin)
        return both.select("split", *_orient(margin > 0))

    def _average_rewards(self, pairs: pl.DataFrame, side: str) -> pl.DataFrame:
        """pair_id and own_reward: the mean of the judge's rewards of the response."""
        judgments = list_judgments(pairs, ["pair_id"])
        reward = pl.col(f"reward_{side}").mean()
        of_judge = judgments.filter(pl.col("judge") == self.config.judge)
        return of_judge.group_by("pair_id", maintain_order=True).agg(own_reward=reward)


def _orient(first_wins: pl.Expr) -> list[pl.Expr]:
    """The columns of both sides, the better one chosen."""
    chosen = {"i_chosen": "i", "r_chosen": "r", "chosen_id": "id"}
    rejected = {"i_reject": "i", "r_reject": "r", "rejected_id": "id"}
    sides = ((chosen, first_wins), (rejected, ~first_wins))
    return [
        pl.when(first).then(f"{name}_one").otherwise(f"{name}_two").alias(column)
        for names, first in sides
        for column, name in names.items()
    ]
