"""A mixture of judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import TOLERANCE, is_tie
from prefdata.consensus.base import (
    NO_REASON,
    Consensus,
    ConsensusConfig,
    label_comparisons,
    mean_if_complete,
    tally_judgments,
)
from prefdata.consensus.scir import find_disagreement
from prefdata.parts.numbers import Fraction, Quantity

OVERRULED = "overruled"
"""The flag of labels that the constraints reversed."""


class PromptKindConfig(BaseModel):
    """A kind of prompt, recognised by its source or text, and the judges of such prompts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The name of the kind in details and errors.")
    source: str | None = Field(None, description="Regex that the prompt's source must contain.")
    text: str | None = Field(None, description="Regex that the last user turn must contain.")
    judges: list[str] = Field(min_length=1, description="The judges that make the label.")

    @field_validator("source", "text")
    @classmethod
    def _is_regex(cls, pattern: str | None) -> str | None:
        try:
            pl.Series([""]).str.contains(pattern or "")
        except pl.exceptions.ComputeError as error:
            raise ValueError(f"not a regex of the Rust crate regex: {error}") from error
        return pattern


class ConstraintConfig(BaseModel):
    """A judge that says which responses break a rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str = Field(description="The judge's name.")
    min_reward: Quantity | None = Field(
        0.5,
        description="Least reward, in the judge's unit, of a response that keeps the rule; 0.5 "
        "suits verifiers and safety, whose reward is a probability; null: no limit.",
    )
    min_preference: Fraction = Field(
        0.0, description="Least P(preferred ≻ other) that it may give; 0: any."
    )

    @model_validator(mode="after")
    def _limits_something(self) -> ConstraintConfig:
        if self.min_reward is None and self.min_preference == 0:
            raise ValueError("set min_reward or min_preference; without both it vetoes nothing")
        return self


class MixtureConfig(ConsensusConfig):
    kind: Literal["mixture"] = "mixture"
    kinds: list[PromptKindConfig] = Field(
        min_length=1, description="Kinds of prompts; a prompt is of the first kind that fits.",
        examples=[[{"name": "why", "source": ".", "text": "(?i)why", "judges": ["pairwise"]}]],
    )  # fmt: skip
    otherwise: list[str] | None = Field(
        None, min_length=1, examples=[["implicit_reward"]],
        description="Judges of all other prompts; null: all judges that are no constraint.",
    )  # fmt: skip
    constraints: list[ConstraintConfig] = Field(
        default_factory=list, description="Judges that veto labels.",
        examples=[[{"judge": "implicit_reward", "min_reward": 0.0, "min_preference": 0.4}]],
    )  # fmt: skip
    unanimous: bool = Field(
        False, description="Label only where all judges of the kind agree.", examples=[True]
    )

    example: ClassVar[Mapping[str, Any]] = {
        "kinds": [{"name": "sums", "text": r"\d", "judges": ["pairwise"]}]
    }


class Mixture(Consensus):
    """Judges by kind of prompt, and constraint judges that overrule them.

    CGPO (The Perfect Blend, arXiv 2409.20370, Sections 4.1 and 4.2): prompts are stratified by
    task, each task has its own reward models, and constraint judges say whether a response breaks
    a rule; one that does is never the preferred one, however well it is rewarded. Of two responses
    the one that alone keeps all rules is preferred, marked `overruled` where the judges of the kind
    say otherwise. Where both break one, or a constraint judge is Unscored, there is no label
    (vetoed). The paper's optimizers are no part of this: it makes their pairs.
    """

    config: MixtureConfig

    def judges(self) -> Sequence[str]:
        named = [judge for kind in self.config.kinds for judge in kind.judges]
        named += self.config.otherwise or []
        return [*named, *(constraint.judge for constraint in self.config.constraints)]

    def rewarding_judges(self) -> Sequence[str]:
        return [c.judge for c in self.config.constraints if c.min_reward is not None]

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        kinds = self.sort_prompts(prompts)
        rows = judgments.join(kinds, on="prompt_id", how="left", maintain_order="left")
        # Unheard judgments are blanked, not removed, so that every comparison stays.
        heard = pl.when(self._is_heard()).then("preference")
        tally = tally_judgments(rows.with_columns(preference=heard))
        checked = pl.lit(True)
        keeps = {"a": pl.lit(True), "b": pl.lit(True)}
        # P(a ≻ b) by the constraints that one of the responses breaks.
        broken_by: dict[str, list[pl.Expr]] = {"a": [pl.lit(0.5)], "b": [pl.lit(0.5)]}
        for n, constraint in enumerate(self.config.constraints):
            checks = (
                judgments.filter(pl.col("judge") == constraint.judge)
                .group_by(COMPARISON)
                .agg(
                    mean_if_complete().alias(f"p{n}"),
                    pl.col("reward_a").min().alias(f"reward_a{n}"),
                    pl.col("reward_b").min().alias(f"reward_b{n}"),
                )
            )
            tally = tally.join(checks, on=COMPARISON, how="left", maintain_order="left")
            checked = checked & pl.col(f"p{n}").is_not_null()
            if constraint.min_reward is None:
                continue
            for side in ("a", "b"):
                reward = pl.col(f"reward_{side}{n}")
                checked = checked & reward.is_not_null()
                keeps[side] = keeps[side] & (reward >= constraint.min_reward)
                broken_by[side].append(pl.when(reward < constraint.min_reward).then(f"p{n}"))
        mean = pl.col("mean")
        alone = {"a": keeps["a"] & ~keeps["b"], "b": keeps["b"] & ~keeps["a"]}
        preference = (
            pl.when(alone["a"] & (mean <= 0.5))
            .then(pl.max_horizontal(broken_by["b"]))
            .when(alone["b"] & (mean >= 0.5))
            .then(pl.min_horizontal(broken_by["a"]))
            .otherwise(mean)
        )
        vetoed = ~checked | ~(keeps["a"] | keeps["b"])
        for n, constraint in enumerate(self.config.constraints):
            p = pl.when(preference > 0.5).then(f"p{n}").otherwise(1 - pl.col(f"p{n}"))
            vetoed = vetoed | (p + TOLERANCE < constraint.min_preference)
        disagreement = find_disagreement() if self.config.unanimous else NO_REASON
        veto = pl.when(vetoed & ~is_tie(preference)).then(pl.lit("vetoed"))
        overruled = pl.when(preference != mean).then(pl.lit(OVERRULED))
        reason = pl.coalesce(disagreement, veto)
        return label_comparisons(tally, self.config, reason, preference, overruled)

    def sort_prompts(self, prompts: pl.DataFrame) -> pl.DataFrame:
        """prompt_id and `kind`, the position of the first kind that fits; null: none does."""
        text = pl.col("messages").list.last().struct.field("content")
        position = pl.lit(None, dtype=pl.Int32)
        for n, kind in reversed(list(enumerate(self.config.kinds))):
            fits = pl.lit(True)
            if kind.source is not None:
                fits = fits & pl.col("source").str.contains(kind.source)
            if kind.text is not None:
                fits = fits & text.str.contains(kind.text)
            position = pl.when(fits).then(pl.lit(n, dtype=pl.Int32)).otherwise(position)
        return prompts.select("prompt_id", kind=position)

    def _is_heard(self) -> pl.Expr:
        """Whether the row's judge is one of the row's kind of prompt."""
        judge, kind = pl.col("judge"), pl.col("kind")
        constraining = [constraint.judge for constraint in self.config.constraints]
        otherwise = self.config.otherwise
        heard = ~judge.is_in(constraining) if otherwise is None else judge.is_in(otherwise)
        for n, each in enumerate(self.config.kinds):
            heard = pl.when(kind == n).then(judge.is_in(each.judges)).otherwise(heard)
        return heard
