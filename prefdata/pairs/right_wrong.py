"""Right responses against wrong ones, as a verifier has found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.comparisons.judgments import list_judgments
from prefdata.pairs.base import Strategy, StrategyConfig
from prefdata.parts.numbers import Count, Quantity


class RightWrongConfig(StrategyConfig):
    kind: Literal["right_wrong"] = "right_wrong"
    judge: str = Field(
        description="The judge that says what is right: a verifier, by its name.",
        examples=["pairwise"],
    )
    right: Quantity = Field(
        1.0, examples=[0.5],
        description="Least reward of a right response.",
    )  # fmt: skip
    wrong: Quantity = Field(
        0.0, examples=[0.5],
        description="Largest reward of a wrong response.",
    )  # fmt: skip
    per_prompt: Count | None = Field(
        None, description="Most pairs per prompt; null: any number.",
        examples=[1],
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_order(self) -> RightWrongConfig:
        if self.wrong >= self.right:
            raise ValueError(f"wrong: {self.wrong} is not below right: {self.right}")
        return self

    example: ClassVar[Mapping[str, Any]] = {"judge": "exact_match"}


class RightWrong(Strategy):
    """Pairs responses whose reasoning ends right with responses whose reasoning ends wrong.

    "Making Large Language Models Better Reasoners with Alignment" (AFT, arXiv 2309.02144): several
    chains of thought per question, those with the right answer are to score above the others. The
    label still decides: a comparison whose label prefers the wrong response becomes no pair.
    """

    config: RightWrongConfig
    needs_judgments = True
    needs_rewards = True

    def __init__(self, config: RightWrongConfig, where: str = "") -> None:
        super().__init__(config, where)
        self.most = config.per_prompt

    def judges(self) -> Sequence[str]:
        return [self.config.judge]

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        on = ["prompt_id", "chosen_id", "rejected_id"]
        rewards = (
            list_judgments(comparisons)
            .filter(pl.col("judge") == self.config.judge)
            .group_by(on)
            .agg(pl.col("reward_chosen", "reward_rejected").first())
        )
        rows = comparisons.join(rewards, on=on, how="left", maintain_order="left")
        chosen, rejected = pl.col("reward_chosen"), pl.col("reward_rejected")
        right, wrong = self.config.right, self.config.wrong
        reason = (
            pl.when(chosen.is_null() | rejected.is_null())
            .then(pl.lit("not_verified"))
            .when((chosen <= wrong) & (rejected >= right))
            .then(pl.lit("wrong_over_right"))
            .when((chosen < right) | (rejected > wrong))
            .then(pl.lit("not_right_and_wrong"))
        )
        # Comparisons without a reason come first within their prompt.
        rows = rows.with_columns(reason=reason).sort(
            "prompt_id", "reason", "chosen", "rejected", nulls_last=False
        )
        if self.config.per_prompt is not None:
            rank = pl.int_range(pl.len()).over("prompt_id")
            surplus = pl.when(rank >= self.config.per_prompt).then(pl.lit("surplus"))
            rows = rows.with_columns(reason=pl.coalesce("reason", surplus))
        return rows.with_columns(
            detail=pl.coalesce(
                pl.format("{}: reward {} against {}", pl.lit(self.config.judge), chosen, rejected),
                pl.format("{} gives no reward to one of them", pl.lit(self.config.judge)),
            )
        ).select(*comparisons.columns, "reason", "detail")
