"""Trained reward models, one or several: P(a ≻ b) of the difference of their rewards.

Several are an ensemble: the preference's strength is the mean of their differences, and their
spread says how far it can be trusted (Secrets of RLHF in Large Language Models Part II, Wang et
al., arXiv 2401.06080, Section 2). A model with an output an attribute (helpfulness, correctness …)
takes weights, as HelpSteer2 does (Wang et al., arXiv 2406.08673); or each output is a judgment of
its own, and a consensus weighs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.engines.base import Requirement, Settings
from prefdata.errors import ConfigError
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_rewards


class RewardModelConfig(JudgeConfig):
    kind: Literal["reward_model"] = "reward_model"
    models: list[str] = Field(min_length=1, description="Each by its name under `models`.")
    heads: list[str] | None = Field(
        None, min_length=1, description="What the outputs of the models' heads are about, in order."
    )
    weights: list[float] | None = Field(
        None, min_length=1, description="One an output of the models' heads; not set: 1."
    )
    apart: bool = Field(
        False, description="A judgment a head, its name the dimension; else one of their sum."
    )
    temperature: float = Field(
        1.0, gt=0, description="What one unit of log-odds is worth in rewards."
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> RewardModelConfig:
        heads, weights = self.heads or [], self.weights or []
        if len(set(heads)) < len(heads):
            raise ValueError(f"heads: {heads}: name each once")
        if heads and weights and len(heads) != len(weights):
            raise ValueError(f"weights: {len(weights)} for {len(heads)} heads; give one a head")
        if self.apart and not heads:
            raise ValueError("apart: name the heads, whose names become the dimensions")
        if self.apart and "dimension" in self.model_fields_set:
            raise ValueError("dimension: leave it out with apart, where each head is one")
        return self

    def factors(self) -> list[float]:
        """The weight of each output."""
        return self.weights or [1.0] * len(self.heads or [""])


class RewardModelJudge(Judge):
    """See the module. `score` is the mean reward, `spread` the deviation of the ensemble's
    differences, which are in `trace`."""

    config: RewardModelConfig

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(model, "reward") for model in self.config.models]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows = candidates.responses.join(candidates.prompts, on="prompt_id", how="left").select(
            "response_id", "messages", prompt_id="prompt_id", completion="text"
        )
        outputs, errors = [], []
        for model in self.config.models:
            found = inference.ask(model, "reward", Settings(), rows)
            outputs.append(self._weighed(model, found["rewards"]))
            errors.append(found["error"])
        responses = rows.select("response_id").with_columns(
            unscored=pl.select(pl.min_horizontal(errors)).to_series()
        )
        if not self.config.apart:
            sums = [
                pl.select(pl.sum_horizontal(o, ignore_nulls=False)).to_series() for o in outputs
            ]
            return self._judgment(candidates, responses, sums)
        return pl.concat(
            self._judgment(candidates, responses, list(rewards)).with_columns(
                dimension=pl.lit(head)
            )
            for head, rewards in zip(
                self.config.heads or (), zip(*outputs, strict=True), strict=True
            )
        )

    def _weighed(self, model: str, rewards: pl.Series) -> list[pl.Series]:
        """Each output times its weight. Raises ConfigError where they don't fit."""
        factors = self.config.factors()
        setting = "heads" if self.config.weights is None and self.config.heads else "weights"
        for count in rewards.list.len().drop_nulls().unique():
            if count != len(factors):
                raise ConfigError(
                    f"{self.where}.{setting}: {len(factors)} for the {count} outputs of {model}",
                    f"Set {setting} to one an output of the model's head.",
                )
        return [rewards.list.get(n, null_on_oob=True) * w for n, w in enumerate(factors)]

    def _judgment(
        self, candidates: Candidates, responses: pl.DataFrame, rewards: Sequence[pl.Series]
    ) -> pl.DataFrame:
        """Judgments from a reward a response of every model, in the order of `responses`."""
        each = pl.DataFrame([s.alias(f"reward_{n}") for n, s in enumerate(rewards)])
        names = each.columns
        mean = pl.sum_horizontal(names, ignore_nulls=False) / len(names)
        scores = responses.with_columns(each).with_columns(score=mean)
        found = from_rewards(
            self.name,
            candidates.comparisons,
            scores.select("response_id", "score", "unscored"),
            self.config.temperature,
        )
        return found if len(names) == 1 else _with_spread(found, scores, names)


def _with_spread(found: pl.DataFrame, scores: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The judgments with the standard deviation of the models' differences; all in `trace`."""
    joined = found.drop("spread")
    for side in ("a", "b"):
        of_side = scores.select(
            pl.col("response_id").alias(f"response_{side}"),
            *(pl.col(name).alias(f"{name}_{side}") for name in names),
        )
        joined = joined.join(of_side, on=f"response_{side}", how="left", maintain_order="left")
    scored = pl.col("preference").is_not_null()
    differences = pl.concat_list(pl.col(f"{n}_a") - pl.col(f"{n}_b") for n in names)
    said = pl.format(
        "a − b: {}, mean {}, standard deviation {}",
        differences.list.eval(pl.element().round(4).cast(pl.String)).list.join(", "),
        differences.list.mean().round(4),
        differences.list.std(ddof=0).round(4),
    )
    return joined.with_columns(
        spread=pl.when(scored).then(differences.list.std(ddof=0)), trace=pl.when(scored).then(said)
    ).select(found.columns)
