"""Pairs by the policies of their two responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.filters.base import FilterConfig, RowFilter, Texts, no_fault
from prefdata.inference.loop import Inference

Names = Annotated[list[str], Field(min_length=1)]


class PoliciesConfig(FilterConfig):
    kind: Literal["policies"] = "policies"
    same: Literal["never", "always"] | None = Field(
        None,
        description="never: the two responses are of different policies; always: of one policy; "
        "null: either.",
    )
    only: Names | None = Field(
        None, description="Both responses are of these policies.", examples=[["policy"]]
    )
    without: Names | None = Field(
        None, description="Neither response is of these policies.", examples=[["weak"]]
    )

    example: ClassVar[Mapping[str, Any]] = {"same": "never"}

    @model_validator(mode="after")
    def _check_any(self) -> PoliciesConfig:
        if self.same is None and self.only is None and self.without is None:
            raise ValueError("set same, only, without or several of them")
        return self


class Policies(RowFilter):
    """Drops pairs by the policies of their responses: never both of one policy or always, of these
    policies alone, or of none of those."""

    config: PoliciesConfig

    def policies(self) -> Sequence[str]:
        return [*(self.config.only or ()), *(self.config.without or ())]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        return pairs.with_columns(no_fault())

    def decide(self, measured: pl.DataFrame) -> pl.DataFrame:
        chosen, rejected = pl.col("chosen_policy"), pl.col("rejected_policy")
        reasons = []
        if self.config.only is not None:
            within = chosen.is_in(self.config.only) & rejected.is_in(self.config.only)
            reasons.append(pl.when(~within).then(pl.lit("unwanted_policy")))
        if self.config.without is not None:
            among = chosen.is_in(self.config.without) | rejected.is_in(self.config.without)
            reasons.append(pl.when(among).then(pl.lit("unwanted_policy")))
        if self.config.same == "never":
            reasons.append(pl.when(chosen == rejected).then(pl.lit("same_policy")))
        if self.config.same == "always":
            reasons.append(pl.when(chosen != rejected).then(pl.lit("different_policies")))
        settings = self.config.model_dump(exclude_none=True, exclude={"kind"})
        wanted = ", ".join(f"{name} {value}" for name, value in settings.items())
        return measured.with_columns(
            reason=pl.coalesce(reasons),
            detail=pl.format("{} over {}; {}", chosen, rejected, pl.lit(wanted)),
        )
