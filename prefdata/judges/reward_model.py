"""Trained reward models, one or several: P(a ≻ b) of the difference of their rewards.

Several are an ensemble: the preference's strength is the mean of their differences, and their
spread says how far it can be trusted (Secrets of RLHF in Large Language Models Part II, Wang et
al., arXiv 2401.06080, Section 2). A model with an output an attribute (helpfulness, correctness …)
takes weights, as HelpSteer2 does (Wang et al., arXiv 2406.08673).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import Field

from prefdata.engines.base import Operation, Settings
from prefdata.errors import ConfigError
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, from_scores


class RewardModelConfig(JudgeConfig):
    models: list[str] = Field(min_length=1, description="Each by its name under `models`.")
    weights: list[float] | None = Field(
        None, min_length=1, description="One an output of the models' heads; for a single one: 1."
    )
    temperature: float = Field(
        1.0, gt=0, description="What one unit of log-odds is worth in rewards."
    )


class RewardModelJudge(Judge):
    """See the module. `score` is the mean reward; the ensemble's differences are in `trace`."""

    kind = "reward_model"
    config_model = RewardModelConfig
    config: RewardModelConfig

    def needs(self) -> list[tuple[str, Operation]]:
        return [(model, "reward") for model in self.config.models]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows = candidates.responses.join(candidates.prompts, on="prompt_id", how="left").select(
            "response_id", "messages", place="prompt_id", completion="text"
        )
        rewards, errors = [], []
        for model in self.config.models:
            found = inference.ask(model, "reward", Settings(), rows)
            rewards.append(self._weighted(model, found["rewards"]))
            errors.append(found["error"])
        each = pl.DataFrame([s.alias(f"reward_{n}") for n, s in enumerate(rewards)])
        names = each.columns
        scores = rows.select("response_id").with_columns(
            each,
            score=each.select(
                pl.sum_horizontal(names, ignore_nulls=False) / len(names)
            ).to_series(),
            unscored=pl.select(pl.min_horizontal(errors)).to_series(),
        )
        found = from_scores(
            self.name,
            candidates.comparisons,
            scores.select("response_id", "score", "unscored"),
            self.config.temperature,
        )
        return found if len(names) == 1 else self._with_spread(found, scores, names)

    def _weighted(self, model: str, rewards: pl.Series) -> pl.Series:
        """The weighted sum of each row's outputs. Raises ConfigError where they don't fit."""
        weights = self.config.weights or [1.0]
        for count in rewards.list.len().drop_nulls().unique():
            if count != len(weights):
                raise ConfigError(
                    f"{self.where}.weights: {len(weights)} for the {count} outputs of {model}",
                    "Set one weight an output of the model's head.",
                )
        parts = [rewards.list.get(n, null_on_oob=True) * w for n, w in enumerate(weights)]
        return pl.select(pl.sum_horizontal(parts, ignore_nulls=False)).to_series()

    def _with_spread(
        self, found: pl.DataFrame, scores: pl.DataFrame, names: Sequence[str]
    ) -> pl.DataFrame:
        """The judgments with mean and standard deviation of the models' differences in `trace`."""
        sides = [
            scores.select(
                pl.col("response_id").alias(f"response_{side}"),
                *(pl.col(name).alias(f"{name}_{side}") for name in names),
            )
            for side in ("a", "b")
        ]
        joined = found
        for frame in sides:
            joined = joined.join(frame, on=frame.columns[0], how="left", maintain_order="left")
        differences = pl.concat_list(pl.col(f"{n}_a") - pl.col(f"{n}_b") for n in names)
        said = pl.format(
            "a − b: {}, mean {}, standard deviation {}",
            differences.list.eval(pl.element().round(4).cast(pl.String)).list.join(", "),
            differences.list.mean().round(4),
            differences.list.std(ddof=0).round(4),
        )
        trace = pl.when(pl.col("preference").is_not_null()).then(said)
        return joined.with_columns(trace=trace).select(found.columns)
