"""The form of UltraFeedback Binarized."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted, sort_out
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, list_conversation
from prefdata.records.base import Record
from prefdata.records.preference import Turn


class UltrafeedbackBinarizedRow(Record):
    """One row as those of HuggingFaceH4/ultrafeedback_binarized."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: str = Field(description="The user's turn.")
    prompt_id: str = Field(description="Content id of the prompt.")
    chosen: list[Turn] = Field(description="The user's turn and the better response.")
    rejected: list[Turn] = Field(description="The user's turn and the worse response.")
    messages: list[Turn] = Field(description="The same as chosen, for fine-tuning.")
    score_chosen: float = Field(description="The score of the better response.")
    score_rejected: float = Field(description="The score of the worse response.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected.")


class UltrafeedbackBinarizedConfig(PlainConfig):
    kind: Literal["ultrafeedback_binarized"] = "ultrafeedback_binarized"
    scores: Literal["rewards", "consensus"] = Field(
        "rewards",
        description="What the scores are. rewards: the mean rewards of the judges, without which a "
        "pair falls out; consensus: P(chosen ≻ rejected) and its complement.",
    )


class UltrafeedbackBinarized(PlainPairs):
    """Pairs of one turn in the form of UltraFeedback Binarized, for code that was written for it.

    Its readers take the first turn for the user's, so a prompt with a system turn falls out.
    Some of TRL's trainers refuse a column `messages` beside chosen and rejected: these take `trl`.
    """

    config: UltrafeedbackBinarizedConfig
    record = UltrafeedbackBinarizedRow
    usage = 'dataset["train"]  # columns and types of HuggingFaceH4/ultrafeedback_binarized'
    one_turn = True
    system_turn = False
    cannot_carry = (
        "Conversations, system turns, tools and calls, labels and judgments; thoughts only inline."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        scores = [pl.col(f"reward_{side}") for side in SIDES]
        if self.config.scores == "consensus":
            scores = [pl.col("soft_label"), 1 - pl.col("soft_label")]
        missing = pl.any_horizontal(score.is_null() for score in scores)
        detail = f"No judge gave both responses a reward; see {self.where}.scores."
        pairs, dropped = sort_out(pairs, {"no_reward": (missing, detail)})
        return Formatted(
            pairs.select(
                "prompt_id",
                "pair_id",
                "split",
                *(list_conversation(side).alias(side) for side in SIDES),
                *(s.alias(f"score_{side}") for s, side in zip(scores, SIDES, strict=True)),
                prompt="question",
                messages=list_conversation("chosen"),
            ),
            dropped,
        )
