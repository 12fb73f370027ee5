"""The policy, or any model, as pairwise judge: both orders, read off the option tokens' logits.

LLM-as-a-judge (Zheng et al., arXiv 2306.05685) without text to parse: P(A) and P(B) come from
the next-token distribution, so there is no format to get wrong. Each comparison is asked in both
orders and the two log-odds are averaged: a liking for the first place, which adds the same to
both, cancels.
"""

from __future__ import annotations

import polars as pl

from prefdata.engines.base import Need, Options
from prefdata.inference.loop import Inference
from prefdata.judges.base import COMPARISON, Candidates, Judge, JudgeConfig, judgments, sigmoid
from prefdata.judges.text import fill, neutral, template, transcript, user_turn

OPTIONS = Options(options=("A", "B"))


class PairwiseConfig(JudgeConfig):
    model: str


class PairwiseJudge(Judge):
    """See the module."""

    kind = "pairwise"
    config_model = PairwiseConfig
    config: PairwiseConfig

    def needs(self) -> list[Need]:
        return [(self.config.model, "choose", OPTIONS)]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        comparisons = candidates.comparisons
        if not comparisons.height:
            return judgments(self.name, _empty(comparisons))
        asked = inference.ask(self.config.model, "choose", OPTIONS, _requests(candidates)).select(
            odds=pl.col("logprobs").list.get(0) - pl.col("logprobs").list.get(1), error="error"
        )
        forward = asked.head(comparisons.height)
        # In the second half b stands first, so its log-odds speak for b.
        reverse = asked.tail(comparisons.height).with_columns(odds=-pl.col("odds"))
        joined = pl.concat(
            [
                comparisons,
                forward.rename({"odds": "odds_f", "error": "error_f"}),
                reverse.rename({"odds": "odds_r", "error": "error_r"}),
            ],
            how="horizontal",
        )
        return judgments(
            self.name,
            joined.with_columns(
                preference=sigmoid((pl.col("odds_f") + pl.col("odds_r")) / 2),
                forward=sigmoid(pl.col("odds_f")),
                reverse=sigmoid(pl.col("odds_r")),
                unscored=pl.coalesce("error_f", "error_r"),
            ),
        )


def _requests(candidates: Candidates) -> pl.DataFrame:
    """One row a comparison with a first, then one a comparison with b first."""
    questions = candidates.prompts.select(
        "prompt_id", question=neutral(transcript(pl.col("messages")))
    )
    texts = candidates.responses.select("response_id", text=neutral(pl.col("text")))
    joined = (
        candidates.comparisons.select(COMPARISON)
        .join(questions, on="prompt_id", how="left", maintain_order="left")
        .join(
            texts, left_on="response_a", right_on="response_id", how="left", maintain_order="left"
        )
        .rename({"text": "text_a"})
        .join(
            texts, left_on="response_b", right_on="response_id", how="left", maintain_order="left"
        )
        .rename({"text": "text_b"})
    )
    orders = [
        fill(
            template("pairwise"),
            question=pl.col("question"),
            answer_a=pl.col(first),
            answer_b=pl.col(second),
        )
        for first, second in (("text_a", "text_b"), ("text_b", "text_a"))
    ]
    return pl.concat(
        [joined.select(place="prompt_id", messages=user_turn(order)) for order in orders]
    )


def _empty(comparisons: pl.DataFrame) -> pl.DataFrame:
    return comparisons.with_columns(preference=pl.lit(None, dtype=pl.Float64))
