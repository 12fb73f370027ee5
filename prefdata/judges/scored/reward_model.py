"""Trained reward models, one or several: P(a ≻ b) from the difference of their rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.engines.base import Requirement, Settings
from prefdata.errors import ConfigError
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards
from prefdata.messages.columns import select_completions
from prefdata.parts.numbers import Quantity, Scale


class RewardModelConfig(JudgeConfig):
    kind: Literal["reward_model"] = "reward_model"
    models: list[str] = Field(
        min_length=1,
        description="The models' names; several make an ensemble.",
        examples=[["other"]],
    )
    heads: list[str] | None = Field(
        None,
        min_length=1,
        description="The names of the models' outputs, in order.",
        examples=[["correctness"]],
    )
    weights: list[Quantity] | None = Field(
        None,
        min_length=1,
        description="The weight of each of the models' outputs; null: 1 each.",
        examples=[[2.0]],
    )
    apart: bool = Field(
        False,
        description="Give one judgment per output, with the output's name as its dimension, "
        "instead of one judgment from their weighted sum.",
        examples=[True],
    )
    temperature: Scale = Field(
        1.0,
        description="The difference of rewards that is worth one unit of log-odds.",
        examples=[2.0],
    )

    thoughts: bool = Field(
        False, description="Show the models the responses' thoughts too, by their chat templates."
    )

    asks_again: ClassVar[frozenset[str]] = frozenset({"models", "thoughts"})
    example: ClassVar[dict[str, Any]] = {"models": ["policy"], "heads": ["helpfulness"]}

    @model_validator(mode="after")
    def _check_heads(self) -> RewardModelConfig:
        heads, weights = self.heads or [], self.weights or []
        if len(set(heads)) < len(heads):
            raise ValueError(f"heads: {heads}: name each once")
        if heads and weights and len(heads) != len(weights):
            raise ValueError(f"weights: {len(weights)} for {len(heads)} heads; give one per head")
        if self.apart and not heads:
            raise ValueError("apart: name the heads, whose names become the dimensions")
        if self.apart and "dimension" in self.model_fields_set:
            raise ValueError("dimension: leave it out with apart, where each head is one")
        return self

    def factors(self) -> list[float]:
        """The weight of each output."""
        return self.weights or [1.0] * len(self.heads or [""])


class RewardModelJudge(Judge):
    """Rewards responses by the outputs of one or several trained reward models.

    Several models make an ensemble: the mean of their reward differences is the strength of the
    preference, and the spread says how far it can be trusted (Secrets of RLHF in Large Language
    Models Part II, Wang et al., arXiv 2401.06080, Section 2). The differences are in `trace`.

    A model may have one output per attribute (helpfulness, correctness …). They are summed with
    weights, as in HelpSteer2 (Wang et al., arXiv 2406.08673), or each becomes a judgment of its
    own and a consensus weighs them.
    """

    config: RewardModelConfig

    def list_dimensions(self) -> Sequence[str]:
        return (self.config.heads or []) if self.config.apart else [self.config.dimension]

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(model, "reward") for model in self.config.models]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows = select_completions(candidates.join_prompts())
        if not self.config.thoughts and "thoughts" in rows.columns:
            rows = rows.with_columns(thoughts=pl.lit(None, dtype=pl.String))
        outputs, errors = [], []
        for model in self.config.models:
            asked = inference.ask(model, "reward", Settings(), rows)
            outputs.append(self._weigh(model, asked["rewards"]))
            errors.append(asked["error"])
        responses = candidates.responses.select("response_id").with_columns(
            unscored=pl.select(pl.min_horizontal(errors)).to_series()
        )
        if not self.config.apart:
            sums = [
                pl.select(pl.sum_horizontal(o, ignore_nulls=False)).to_series() for o in outputs
            ]
            return self._compare(candidates, responses, sums)
        return pl.concat(
            self._compare(candidates, responses, list(rewards)).with_columns(dimension=pl.lit(head))
            for head, rewards in zip(
                self.config.heads or (), zip(*outputs, strict=True), strict=True
            )
        )

    def _weigh(self, model: str, rewards: pl.Series) -> list[pl.Series]:
        """Each output times its weight. Raises ConfigError if their numbers differ."""
        factors = self.config.factors()
        setting = "heads" if self.config.weights is None and self.config.heads else "weights"
        for count in rewards.list.len().drop_nulls().unique():
            if count != len(factors):
                raise ConfigError(
                    f"{self.where}.{setting}: {len(factors)} for the {count} outputs of {model}",
                    f"Set {setting} to one per output of the model's head.",
                )
        return [rewards.list.get(n, null_on_oob=True) * w for n, w in enumerate(factors)]

    def _compare(
        self, candidates: Candidates, responses: pl.DataFrame, rewards: Sequence[pl.Series]
    ) -> pl.DataFrame:
        """Judgments from the rewards of each model, in the order of `responses`."""
        each = pl.DataFrame([s.alias(f"reward_{n}") for n, s in enumerate(rewards)])
        names = each.columns
        mean = pl.sum_horizontal(names, ignore_nulls=False) / len(names)
        rewarded = responses.with_columns(each).with_columns(reward=mean)
        judgments = from_rewards(
            self.name,
            candidates.comparisons,
            rewarded.select("response_id", "reward", "unscored"),
            self.config.temperature,
        )
        return judgments if len(names) == 1 else _add_spread(judgments, rewarded, names)


def _add_spread(
    judgments: pl.DataFrame, rewarded: pl.DataFrame, names: Sequence[str]
) -> pl.DataFrame:
    """The judgments with `spread`, the standard deviation of the models' reward differences, and
    the differences in `trace`."""
    joined = judgments.drop("spread")
    for side in ("a", "b"):
        of_side = rewarded.select(
            pl.col("response_id").alias(f"response_{side}"),
            *(pl.col(name).alias(f"{name}_{side}") for name in names),
        )
        joined = joined.join(of_side, on=f"response_{side}", how="left", maintain_order="left")
    scored = pl.col("preference").is_not_null()
    differences = pl.concat_list(pl.col(f"{n}_a") - pl.col(f"{n}_b") for n in names)
    trace = pl.format(
        "a − b: {}, mean {}, standard deviation {}",
        differences.list.eval(pl.element().round(4).cast(pl.String)).list.join(", "),
        differences.list.mean().round(4),
        differences.list.std(ddof=0).round(4),
    )
    return joined.with_columns(
        spread=pl.when(scored).then(differences.list.std(ddof=0)), trace=pl.when(scored).then(trace)
    ).select(judgments.columns)
