"""A model that rates each response by a rubric; the score is the rating it expects.

Read off the ratings' log-probs, the expected rating tells responses apart that the likeliest rating
would tie (G-Eval, Liu et al., arXiv 2303.16634, Section 2). Where the engine gives no log-probs it
is the rating itself.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.engines.base import Requirement
from prefdata.inference.loop import Inference
from prefdata.judges.asking.conversation import fill, template, turns
from prefdata.judges.asking.rating import RatingConfig, asked_about, rated_judgments
from prefdata.judges.asking.verdict import Verdicts
from prefdata.judges.base import Candidates, Judge


class PointwiseConfig(RatingConfig):
    """A rubric beside the model and how its verdict is read."""

    kind: Literal["pointwise"] = "pointwise"


class PointwiseJudge(Judge):
    """See the module."""

    config: PointwiseConfig

    def requirements(self) -> list[Requirement]:
        return [self._verdicts().requirement()]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        rows = asked_about(candidates)
        asking = fill(
            template("pointwise"),
            criteria=pl.lit(self.config.rubric.text()),
            question=pl.col("question"),
            response=pl.col("response"),
        )
        found = self._verdicts().ask(
            inference, rows.select(prompt_id="prompt_id", messages=turns(asking))
        )
        rated = pl.concat([rows.select("response_id"), found], how="horizontal").with_columns(
            trace=pl.lit(None, dtype=pl.String)
        )
        return rated_judgments(self.name, candidates, rated, self.config)

    def _verdicts(self) -> Verdicts:
        return Verdicts(self.config, self.where, self.config.rubric.options())
