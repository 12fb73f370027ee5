"""The sum of log-sigmoid-centred rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)
from prefdata.parts.numbers import Fraction
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER
from prefdata.statistics.odds import log_sigmoid, sigmoid


class LogSigmoidSumConfig(ConsensusConfig):
    kind: Literal["log_sigmoid_sum"] = "log_sigmoid_sum"
    rewards: list[str] = Field(
        min_length=1, examples=[["implicit_reward"]],
        description="Judges that give every response a reward.",
    )  # fmt: skip
    reference: Fraction = Field(
        0.5, examples=[0.7],
        description="Quantile of a prompt's own responses' rewards that is the reference.",
    )  # fmt: skip

    example: ClassVar[Mapping[str, Any]] = {"rewards": ["pairwise", "implicit_reward"]}


class LogSigmoidSum(Consensus):
    """Prefers the response that is good enough by every judge.

    Transforming and Combining Rewards (Wang et al., arXiv 2402.00742, Sections 3 and 4): each
    judge's reward r becomes log sigmoid(r - r_ref), the log-probability that the response is
    better than a reference, and these are summed: the response is good by every judge. Far above
    the reference more reward gains little; far below it, less reward costs in full. r_ref is a
    quantile of the judge's rewards on the prompt's own responses, by default their median.

    Simplified: the paper takes the quantile over many responses of the base policy. Of a few
    candidates the median moves with each of them, and of two it lies halfway between.
    """

    config: LogSigmoidSumConfig

    def judges(self) -> Sequence[str]:
        return self.config.rewards

    def rewarding_judges(self) -> Sequence[str]:
        return self.config.rewards

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        tally = tally_judgments(judgments)
        utilities = self._sum_utilities(judgments)
        for side in ("a", "b"):
            utility = utilities.rename(
                {"response": f"response_{side}", "utility": f"utility_{side}"}
            )
            tally = tally.join(
                utility, on=["prompt_id", f"response_{side}"], how="left", maintain_order="left"
            )
        difference = pl.col("utility_a") - pl.col("utility_b")
        reason = pl.when(difference.is_null()).then(pl.lit("missing_reward"))
        return label_comparisons(tally, self.config, reason, sigmoid(difference))

    def _sum_utilities(self, judgments: pl.DataFrame) -> pl.DataFrame:
        """prompt_id, response, utility; null where a judge gave the response no reward."""
        names = sorted(set(self.config.rewards))
        not_annotated = pl.col("unscored").str.starts_with(NOT_ANNOTATED).fill_null(False)
        rows = judgments.filter(pl.col("judge").is_in(names) & ~not_annotated)
        sides = [
            rows.select("prompt_id", *SPEAKER, response=f"response_{side}", reward=f"reward_{side}")
            for side in ("a", "b")
        ]
        # A response is in several comparisons; some of them may lack its reward.
        rewards = (
            pl.concat(sides)
            .unique()
            .group_by("prompt_id", *SPEAKER, "response")
            .agg(pl.col("reward").drop_nulls().min())
        )
        reference = pl.col("reward").quantile(self.config.reference, "linear")
        centred = pl.col("reward") - reference.over("prompt_id", *SPEAKER)
        return (
            rewards.with_columns(
                utility=log_sigmoid(centred),
                speakers=pl.struct(SPEAKER).n_unique().over("prompt_id"),
            )
            .sort(*SPEAKER, "prompt_id", "response")
            .group_by("prompt_id", "response", maintain_order=True)
            .agg(
                utility=pl.when(
                    pl.col("utility").null_count() == 0,
                    pl.col("judge").n_unique() == len(names),
                    # Sums over different numbers of annotators can't be compared.
                    pl.len() == pl.col("speakers").first(),
                ).then(pl.col("utility").sum())
            )
        )
