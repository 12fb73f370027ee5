"""A mixture of judges: by kind of prompt, with constraint judges that veto.

CGPO (The Perfect Blend, arXiv 2409.20370, Sections 4.1 and 4.2): prompts are stratified by task,
each task has its own reward models, and constraint judges say whether a response breaks a rule;
a response that does is never the preferred one, however well it is rewarded. Kinds are told by
the prompt's source or by its text, the first rule that fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator

from prefdata.consensus.base import (
    COMPARISON,
    NO_REASON,
    ROUNDING,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
    whole_mean,
)
from prefdata.consensus.scir import disagreement


class KindConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str | None = Field(None, description="Regex that the prompt's source must contain.")
    text: str | None = Field(None, description="Regex that the last user turn must contain.")
    judges: list[str] = Field(min_length=1, description="Whose judgments make the label.")

    @field_validator("source", "text")
    @classmethod
    def _is_regex(cls, pattern: str | None) -> str | None:
        try:
            pl.Series([""]).str.contains(pattern or "")
        except pl.exceptions.ComputeError as error:
            raise ValueError(f"not a regex of the Rust crate regex: {error}") from error
        return pattern


class ConstraintConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str
    min_preference: float = Field(
        0.5, ge=0, le=1, description="Least P(preferred ≻ other) that it may give."
    )
    min_reward: float | None = Field(
        None, description="Least score that it may give the preferred response; null: not asked."
    )


class MixtureConfig(ConsensusConfig):
    kind: Literal["mixture"] = "mixture"
    kinds: list[KindConfig] = Field(min_length=1, description="The first that fits counts.")
    otherwise: list[str] | None = Field(
        None, min_length=1, description="Judges of all other prompts; null: all but constraints."
    )
    constraints: list[ConstraintConfig] = Field(default_factory=list)
    unanimous: bool = Field(False, description="Only where all judges of the kind agree.")


class Mixture(Consensus):
    """See the module."""

    config: MixtureConfig

    def judges(self) -> Sequence[str]:
        named = [judge for kind in self.config.kinds for judge in kind.judges]
        named += self.config.otherwise or []
        return [*named, *(constraint.judge for constraint in self.config.constraints)]

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        kinds = self.kinds(prompts)
        rows = judgments.join(kinds, on="prompt_id", how="left", maintain_order="left")
        # Comparisons stay where no judgment of the kind is there: they have too few of them.
        heard = pl.when(self._heard()).then("preference")
        counted = tally_judgments(rows.with_columns(preference=heard))
        preference = pl.col("mean")
        vetoed = pl.lit(False)
        for place, constraint in enumerate(self.config.constraints):
            own = judgments.filter(pl.col("judge") == constraint.judge)
            said = own.group_by(COMPARISON).agg(
                whole_mean().alias(f"p{place}"),
                pl.col("reward_a").min().alias(f"a{place}"),
                pl.col("reward_b").min().alias(f"b{place}"),
            )
            counted = counted.join(said, on=COMPARISON, how="left", maintain_order="left")
            for_a = preference > 0.5
            p = pl.when(for_a).then(f"p{place}").otherwise(1 - pl.col(f"p{place}"))
            # A constraint that was not checked is not met.
            vetoed = vetoed | p.is_null() | (p + ROUNDING < constraint.min_preference)
            if constraint.min_reward is not None:
                score = pl.when(for_a).then(f"a{place}").otherwise(f"b{place}")
                vetoed = vetoed | score.is_null() | (score < constraint.min_reward)
        reason = disagreement() if self.config.unanimous else NO_REASON
        tie = (preference - 0.5).abs() <= ROUNDING
        reason = pl.coalesce(reason, pl.when(vetoed & ~tie).then(pl.lit("vetoed")))
        return labelled(counted, reason, self.config, preference)

    def kinds(self, prompts: pl.DataFrame) -> pl.DataFrame:
        """prompt_id and `kind`, the position of the first rule that fits; null: none does."""
        text = pl.col("messages").list.last().struct.field("content")
        found = pl.lit(None, dtype=pl.Int32)
        for place, kind in reversed(list(enumerate(self.config.kinds))):
            fits = pl.lit(True)
            if kind.source is not None:
                fits = fits & pl.col("source").str.contains(kind.source)
            if kind.text is not None:
                fits = fits & text.str.contains(kind.text)
            found = pl.when(fits).then(pl.lit(place, dtype=pl.Int32)).otherwise(found)
        return prompts.select("prompt_id", kind=found)

    def _heard(self) -> pl.Expr:
        """Whether the row's judge speaks on the row's kind of prompt."""
        judge, kind = pl.col("judge"), pl.col("kind")
        constraining = [constraint.judge for constraint in self.config.constraints]
        otherwise = self.config.otherwise
        heard = ~judge.is_in(constraining) if otherwise is None else judge.is_in(otherwise)
        for place, one in enumerate(self.config.kinds):
            heard = pl.when(kind == place).then(judge.is_in(one.judges)).otherwise(heard)
        return heard
