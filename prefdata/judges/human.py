"""People: each annotator's own judgment of two responses that they labelled, never a mean of several.

Aligning with people who differ needs to know who said what: PAL (arXiv 2406.08469) and VPL (arXiv
2408.10075) learn from each annotator's comparisons, MaxMin-RLHF (arXiv 2402.08925) from each
group's. So a comparison has one row for every annotator who labelled both responses. The one with the
higher rating, the better rank, or the thumb up against the thumb down is preferred; equal ones are
a tie. Who labelled only one of the two has said nothing of the comparison and has no row; where
nobody labelled both, the comparison is Unscored.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.inference.loop import Inference
from prefdata.judges.base import COMPARISON, Candidates, Judge, JudgeConfig
from prefdata.records.annotation import AnnotationKind
from prefdata.records.base import polars_schema
from prefdata.records.judgment import NOT_ANNOTATED
from prefdata.records.prompt import Prompt

_WHOSE = ["annotator", "group", "dimension"]


class HumanConfig(JudgeConfig):
    kind: Literal["human"] = "human"
    annotations: AnnotationKind = Field(description="Which of the labels that ingest read.")
    annotators: list[str] | None = Field(
        None, min_length=1, description="Only these are heard; null: all."
    )
    groups: list[str] | None = Field(
        None, min_length=1, description="Only annotators of these groups are heard; null: all."
    )


class HumanJudge(Judge):
    """See the module."""

    config: HumanConfig

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        said, ranked = self._said(candidates), self.config.annotations == "ranking"
        # Ranks of one ranking say nothing of those of another; ratings and thumbs do.
        same = ["prompt_id", *_WHOSE, *(["ranking"] if ranked else [])]
        one = said.select(*same, response_a="response_id", value_a="value")
        other = said.select(*same, response_b="response_id", value_b="value")
        both = candidates.comparisons.join(one, on=["prompt_id", "response_a"]).join(
            other, on=[*same, "response_b"], nulls_equal=True
        )
        better = pl.col("value_a") - pl.col("value_b")
        better = -better if ranked else better
        p = pl.when(better > 0).then(1.0).when(better < 0).then(0.0).otherwise(0.5)
        differs = pl.col("p").n_unique() > 1
        rows = (
            both.with_columns(p=p)
            .group_by(*COMPARISON, *_WHOSE)
            .agg(
                preference=pl.when(~differs).then(pl.col("p").first()),
                reward_a=pl.col("value_a").first(),
                reward_b=pl.col("value_b").first(),
                unscored=pl.when(differs).then(
                    pl.lit("contradictory: the annotator's rankings order the two differently")
                ),
            )
            .sort(*COMPARISON, *_WHOSE)
        )
        if ranked:
            # A rank among some responses is no score of one.
            rows = rows.drop("reward_a", "reward_b")
        silent = candidates.comparisons.join(rows, on=COMPARISON, how="anti").with_columns(
            preference=pl.lit(None, dtype=pl.Float64),
            unscored=pl.lit(
                f"{NOT_ANNOTATED}: nobody labelled both responses ({self.config.annotations})"
            ),
        )
        return judgments(self.name, pl.concat([rows, silent], how="diagonal"))

    def _said(self, candidates: Candidates) -> pl.DataFrame:
        """prompt_id, annotator, group, dimension, ranking, response_id and value: a row an
        annotator and response, of those who are heard."""
        schema = polars_schema(Prompt)
        prompts = candidates.prompts
        absent = [c for c in ("responses", "annotations") if c not in prompts.columns]
        prompts = prompts.with_columns(pl.lit(None, dtype=schema[c]).alias(c) for c in absent)
        label = pl.col("annotations").struct
        heard = label.field("kind") == self.config.annotations
        for field, names in (("annotator", self.config.annotators), ("group", self.config.groups)):
            if names is not None:
                heard = heard & label.field(field).is_in(names)
        labels = (
            prompts.select("prompt_id", "annotations")
            .drop_nulls()
            .explode("annotations", empty_as_null=False)
            .filter(heard.fill_null(False))
            .unnest("annotations")
            .with_row_index("ranking")
            .explode("responses", "values", empty_as_null=False)
        )
        # By text: a sample that says the same, word for word, is the same response.
        responses = (
            prompts.select("prompt_id", "responses")
            .drop_nulls()
            .explode("responses", empty_as_null=False)
            .unnest("responses")
            .select("prompt_id", "text", responses="response_id")
            .join(
                candidates.responses.select("prompt_id", "text", "response_id"),
                on=["prompt_id", "text"],
            )
        )
        return labels.join(responses, on=["prompt_id", "responses"]).select(
            "prompt_id", *_WHOSE, "ranking", "response_id", value="values"
        )
