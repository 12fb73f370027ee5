"""The sum of log-sigmoid-centred rewards: a response has to be good enough by every judge.

Transforming and Combining Rewards (Wang et al., arXiv 2402.00742, Sections 3 and 4): each judge's
reward r becomes log sigmoid(r - r_ref), the log-probability that the response is better than a
reference one, and these are summed, which reads as "good by all of them". Far above the reference
more reward counts for little, far below it costs in full. r_ref is a quantile of the judge's
rewards on the prompt's own candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
)
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER
from prefdata.statistics.odds import sigmoid


class LogSigmoidSumConfig(ConsensusConfig):
    kind: Literal["log_sigmoid_sum"] = "log_sigmoid_sum"
    rewards: list[str] = Field(min_length=1, description="Judges that give every response a score.")
    reference: float = Field(
        0.5, ge=0, le=1, description="Quantile of a prompt's rewards that is the reference."
    )


class LogSigmoidSum(Consensus):
    """See the module."""

    config: LogSigmoidSumConfig

    def judges(self) -> Sequence[str]:
        return self.config.rewards

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        counted = tally_judgments(judgments)
        utilities = self._utilities(judgments)
        for side in ("a", "b"):
            own = utilities.select(
                "prompt_id", pl.col("response").alias(f"response_{side}"), utility="utility"
            ).rename({"utility": f"utility_{side}"})
            counted = counted.join(
                own, on=["prompt_id", f"response_{side}"], how="left", maintain_order="left"
            )
        difference = pl.col("utility_a") - pl.col("utility_b")
        reason = pl.when(difference.is_null()).then(pl.lit("missing_reward"))
        return labelled(counted, reason, self.config, sigmoid(difference))

    def _utilities(self, judgments: pl.DataFrame) -> pl.DataFrame:
        """prompt_id, response, utility; null where one of the judges gave the response no score."""
        rewards = sorted(set(self.config.rewards))
        unlabelled = pl.col("unscored").str.starts_with(NOT_ANNOTATED).fill_null(False)
        rows = judgments.filter(pl.col("judge").is_in(rewards) & ~unlabelled)
        scores = pl.concat(
            [
                rows.select(
                    "prompt_id",
                    *SPEAKER,
                    response=f"response_{side}",
                    score=f"score_{side}",
                )
                for side in ("a", "b")
            ]
        ).unique(["prompt_id", *SPEAKER, "response", "score"])
        # A response stands in several comparisons; one of them may lack the score.
        each = scores.group_by("prompt_id", *SPEAKER, "response").agg(
            pl.col("score").drop_nulls().min()
        )
        group = ["prompt_id", *SPEAKER]
        centre = pl.col("score").quantile(self.config.reference, "linear").over(group)
        centred = pl.col("score") - centre
        # log sigmoid(x), without overflow where x is far below 0.
        utility = pl.min_horizontal(centred, 0.0) - (1 + (-centred.abs()).exp()).log()
        return (
            each.with_columns(
                utility=utility, speakers=pl.struct(SPEAKER).n_unique().over("prompt_id")
            )
            .sort(*SPEAKER, "prompt_id", "response")
            .group_by("prompt_id", "response", maintain_order=True)
            .agg(
                utility=pl.when(
                    pl.col("utility").null_count() == 0,
                    pl.col("judge").n_unique() == len(rewards),
                    # Sums of more and of fewer annotators can't be compared.
                    pl.len() == pl.col("speakers").first(),
                ).then(pl.col("utility").sum())
            )
        )
