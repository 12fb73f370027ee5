"""Strong policies against weak ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.pairs.base import Strategy, StrategyConfig, compute_margin
from prefdata.parts.numbers import Count

Names = Annotated[list[str], Field(min_length=1)]


class StrongWeakConfig(StrategyConfig):
    kind: Literal["strong_weak"] = "strong_weak"
    strong: Names = Field(
        description="The policies whose responses may be chosen, by their names.",
        examples=[["another"]],
    )
    weak: Names = Field(
        description="The policies whose responses may be rejected.", examples=[["another"]]
    )
    per_prompt: Count | None = Field(
        1, description="Most pairs per prompt; null: any number.", examples=[2]
    )

    example: ClassVar[Mapping[str, Any]] = {"strong": ["strong"], "weak": ["weak"]}

    @model_validator(mode="after")
    def _check_sides(self) -> StrongWeakConfig:
        both = sorted({*self.strong} & {*self.weak})
        if both:
            raise ValueError(f"{', '.join(both)}: in strong and in weak; name it in one of them")
        return self


class StrongWeak(Strategy):
    """Pairs a strong policy's response with a weak one's, where the label prefers the strong one.

    Of a prompt's labelled comparisons whose chosen response is of a policy in `strong` and whose
    rejected one is of a policy in `weak`, those with the largest margins, at most `per_prompt`. The
    label still decides: a comparison that the weak policy won becomes no pair.
    """

    config: StrongWeakConfig

    def __init__(self, config: StrongWeakConfig, where: str = "") -> None:
        super().__init__(config, where)
        self.most = config.per_prompt

    def policies(self) -> Sequence[str]:
        return [*self.config.strong, *self.config.weak]

    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        strong, weak = self.config.strong, self.config.weak
        wanted = pl.col("chosen_policy").is_in(strong) & pl.col("rejected_policy").is_in(weak)
        turned = pl.col("chosen_policy").is_in(weak) & pl.col("rejected_policy").is_in(strong)
        reason = (
            pl.when(turned)
            .then(pl.lit("weak_over_strong"))
            .when(~wanted)
            .then(pl.lit("not_strong_and_weak"))
        )
        margin = compute_margin()
        # Comparisons without a reason come first within their prompt.
        rows = comparisons.with_columns(reason=reason).sort(
            "prompt_id", "reason", margin, "chosen", "rejected",
            descending=[False, False, True, False, False], nulls_last=False,
        )  # fmt: skip
        if self.config.per_prompt is not None:
            rank = pl.int_range(pl.len()).over("prompt_id")
            surplus = pl.when(rank >= self.config.per_prompt).then(pl.lit("smaller_margin"))
            rows = rows.with_columns(reason=pl.coalesce("reason", surplus))
        return rows.with_columns(
            detail=pl.format(
                "{} over {}, margin {}, per_prompt {}",
                "chosen_policy", "rejected_policy", margin.round(4),
                pl.lit(str(self.config.per_prompt or "null")),
            )
        ).select(*comparisons.columns, "reason", "detail")  # fmt: skip
