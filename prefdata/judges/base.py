"""The contract of a judge.

A judge sees all candidates of many prompts and all comparisons asked of it at once, and returns
one row a comparison: P(a ≻ b), or Unscored with the reason. It asks models through `Inference`
alone, so that every call is remembered.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl
from pydantic import Field

from prefdata.inference.loop import Inference
from prefdata.judges.asking.demonstrations import Demonstrations
from prefdata.parts import Part, PartConfig
from prefdata.records.base import fill_columns
from prefdata.records.judgment import HELPFULNESS, Judgment
from prefdata.statistics.odds import sigmoid

COMPARISON = ("prompt_id", "response_a", "response_b")


class JudgeConfig(PartConfig):
    """The settings every judge has; a judge adds its own."""

    name: str | None = None
    dimension: str = Field(
        HELPFULNESS, min_length=1, description="The quality that its judgments are about."
    )


@dataclass(frozen=True)
class Candidates:
    """What is judged.

    `prompts`: prompt_id, messages, reference (what a verifier checks against; null where there is
    none), responses and labels (what people said of them; null where there are none).
    `responses`: prompt_id, response_id, text, finished.
    `comparisons`: prompt_id, response_a, response_b with response_a < response_b.
    `demonstrations` are for the judges that take them, from the second cycle on.
    """

    prompts: pl.DataFrame
    responses: pl.DataFrame
    comparisons: pl.DataFrame
    demonstrations: Demonstrations | None = None

    def slices(self, comparisons: int) -> Iterator[Candidates]:
        """The same, some prompts at a time: so many that have about so many comparisons."""
        if self.comparisons.height <= comparisons:
            yield self
            return
        prompts = max(1, comparisons * self.prompts.height // self.comparisons.height)
        for some in self.prompts.iter_slices(prompts):
            ids = some.select("prompt_id")
            yield Candidates(
                some,
                self.responses.join(ids, on="prompt_id", how="semi", maintain_order="left"),
                self.comparisons.join(ids, on="prompt_id", how="semi", maintain_order="left"),
                self.demonstrations,
            )


class Judge(Part):
    """One judge. It asks models for what its `requirements` name."""

    config: JudgeConfig
    takes_demonstrations: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What its judgments go by: the settings' `name`, or the kind."""
        return self.config.name or self.kind

    @abstractmethod
    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        """One row a comparison in the columns of `Judgment`, or one a comparison and dimension,
        or a comparison and annotator: at least one row a comparison.

        `dimension` may stay null: `judge_all` puts the settings' one there.
        """

    def judge_all(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        """What `judge` says, with the quality that it is about in every row."""
        named = pl.coalesce("dimension", pl.lit(self.config.dimension))
        return self.judge(candidates, inference).with_columns(dimension=named)


def judgments(judge: str, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` in the columns of `Judgment`; columns the judge does not have become null.

    A preference that is not a number in [0, 1] becomes Unscored: never a zero, never a loss. A
    NaN in another column becomes null: it would spread through every mean.
    """
    filled = fill_columns(rows, Judgment).with_columns(judge=pl.lit(judge))
    valid = pl.col("preference").is_between(0, 1) & pl.col("unscored").is_null()
    reason = pl.coalesce(
        "unscored", pl.format("not_a_probability: {}", pl.col("preference").cast(pl.String))
    )
    checked = filled.with_columns(
        preference=pl.when(valid).then("preference"),
        unscored=pl.when(~valid.fill_null(False)).then(pl.coalesce(reason, pl.lit("missing"))),
    )
    return checked.fill_nan(None)


def from_rewards(
    judge: str, comparisons: pl.DataFrame, scores: pl.DataFrame, temperature: float = 1.0
) -> pl.DataFrame:
    """Judgments from one score a response: P(a ≻ b) = sigmoid((reward_a - reward_b) / temperature).

    The Bradley-Terry model; `temperature` is what one unit of log-odds is worth in scores.
    `scores` holds response_id, score, unscored (null where there is a score) and, where the judge
    wrote one, trace. A score that is infinite or NaN is none.
    """
    joined = _both_scores(comparisons, scores)
    difference = (pl.col("reward_a") - pl.col("reward_b")) / temperature
    return judgments(judge, joined.with_columns(preference=sigmoid(difference)))


def from_chances(judge: str, comparisons: pl.DataFrame, chances: pl.DataFrame) -> pl.DataFrame:
    """Judgments from each response's chance of being good: P(a is and b isn't), ties split evenly.

    With s the chances and responses good independently of one another this is (1 + s_a - s_b) / 2.
    `chances` is laid out as the `scores` of `from_rewards`.
    """
    joined = _both_scores(comparisons, chances)
    even = (1 + pl.col("reward_a") - pl.col("reward_b")) / 2
    return judgments(judge, joined.with_columns(preference=even))


def _both_scores(comparisons: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """The comparisons with both responses' scores, why there is none, and what was written."""
    finite = pl.col("score").is_finite()
    if "trace" not in scores.columns:
        scores = scores.with_columns(trace=pl.lit(None, dtype=pl.String))
    scores = scores.with_columns(
        score=pl.when(finite).then("score"),
        unscored=pl.coalesce(
            "unscored", pl.when(~finite).then(pl.format("not_a_reward: {}", "score"))
        ),
    )
    joined = comparisons
    for side in ("a", "b"):
        of_side = scores.select(
            pl.col(name).alias(f"{column}_{side}")
            for name, column in (
                ("response_id", "response"),
                ("score", "reward"),
                ("unscored", "unscored"),
                ("trace", "trace"),
            )
        )
        joined = joined.join(of_side, on=f"response_{side}", how="left", maintain_order="left")
    return joined.with_columns(
        # Of two reasons the lesser text: which answer comes first says nothing.
        unscored=pl.min_horizontal("unscored_a", "unscored_b"),
        trace=both_traces("trace_a", "trace_b", ("[a]", "[b]")),
    )


def both_traces(one: str, other: str, heads: tuple[str, str]) -> pl.Expr:
    """Two columns of written text as one, each under its head; null where both are."""
    parts = [
        pl.when(pl.col(column).is_not_null()).then(
            pl.concat_str(pl.lit(head + "\n"), pl.col(column))
        )
        for column, head in zip((one, other), heads, strict=True)
    ]
    joined = pl.concat_str(parts, separator="\n\n", ignore_nulls=True)
    return pl.when(pl.any_horizontal(pl.col(one, other).is_not_null())).then(joined)
