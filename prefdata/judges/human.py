"""Human annotators: each one's own judgment of two responses, never a mean of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, fill_judgments
from prefdata.messages.columns import CALLS
from prefdata.records.annotation import AnnotationKind
from prefdata.records.base import polars_schema
from prefdata.records.judgment import NOT_ANNOTATED
from prefdata.records.prompt import Prompt
from prefdata.text.transcript import describe_response

_SPEAKER = ("annotator", "group", "dimension")


class HumanConfig(JudgeConfig):
    kind: Literal["human"] = "human"
    annotations: AnnotationKind = Field(
        description="The kind of annotations to use.", examples=["thumb"]
    )
    annotators: list[str] | None = Field(
        None,
        min_length=1,
        description="Only these annotators count; null: all.",
        examples=[["ann-7"]],
    )
    groups: list[str] | None = Field(
        None,
        min_length=1,
        description="Only annotators of these groups count; null: all.",
        examples=[["nurses"]],
    )

    example: ClassVar[dict[str, Any]] = {"annotations": "rating"}


class HumanJudge(Judge):
    """Turns the annotations that came with the prompts into judgments.

    Aligning with people who disagree needs each annotator's own preference: PAL (arXiv 2406.08469)
    and VPL (arXiv 2408.10075) learn from each annotator's comparisons, MaxMin-RLHF (arXiv
    2402.08925) from each group's. So there is one row per comparison and annotator who annotated
    both responses. The response with the higher rating, the better rank or the thumb up is
    preferred; equal values are a tie. An annotator who annotated only one of the two responses has
    no row. If nobody annotated both responses, the comparison is Unscored.
    """

    config: HumanConfig

    def __init__(self, config: HumanConfig, where: str = "") -> None:
        super().__init__(config, where)
        # A rank depends on the responses it was given among, so it is not a reward.
        self.gives_rewards = config.annotations != "ranking"

    def list_dimensions(self) -> Sequence[str] | None:
        return None

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        values, ranked = self._select_values(candidates), self.config.annotations == "ranking"
        # Ranks can be compared only within one ranking; ratings and thumbs across annotations.
        same = ["prompt_id", *_SPEAKER, *(["ranking"] if ranked else [])]
        one = values.select(*same, response_a="response_id", value_a="value")
        other = values.select(*same, response_b="response_id", value_b="value")
        both = candidates.comparisons.join(one, on=["prompt_id", "response_a"]).join(
            other, on=[*same, "response_b"], nulls_equal=True
        )
        better = pl.col("value_a") - pl.col("value_b")
        better = -better if ranked else better
        p = pl.when(better > 0).then(1.0).when(better < 0).then(0.0).otherwise(0.5)
        differs = pl.col("p").n_unique() > 1
        annotated = (
            both.with_columns(p=p)
            .group_by(*COMPARISON, *_SPEAKER)
            .agg(
                preference=pl.when(~differs).then(pl.col("p").first()),
                reward_a=pl.col("value_a").first(),
                reward_b=pl.col("value_b").first(),
                unscored=pl.when(differs).then(
                    pl.lit("contradictory: the annotator's rankings order the two differently")
                ),
            )
            .sort(*COMPARISON, *_SPEAKER)
        )
        if not self.gives_rewards:
            annotated = annotated.drop("reward_a", "reward_b")
        unannotated = candidates.comparisons.join(annotated, on=COMPARISON, how="anti")
        unannotated = unannotated.with_columns(
            preference=pl.lit(None, dtype=pl.Float64),
            unscored=pl.lit(
                f"{NOT_ANNOTATED}: nobody annotated both responses ({self.config.annotations})"
            ),
        )
        return fill_judgments(self.name, pl.concat([annotated, unannotated], how="diagonal"))

    def _select_values(self, candidates: Candidates) -> pl.DataFrame:
        """prompt_id, annotator, group, dimension, ranking, response_id, value: one row per
        annotator and response, of the selected annotators."""
        schema = polars_schema(Prompt)
        prompts = candidates.prompts
        absent = [c for c in ("responses", "annotations") if c not in prompts.columns]
        prompts = prompts.with_columns(pl.lit(None, dtype=schema[c]).alias(c) for c in absent)
        annotation = pl.col("annotations").struct
        counts = annotation.field("kind") == self.config.annotations
        for field, names in (("annotator", self.config.annotators), ("group", self.config.groups)):
            if names is not None:
                counts = counts & annotation.field(field).is_in(names)
        annotations = (
            prompts.select("prompt_id", "annotations")
            .drop_nulls()
            .explode("annotations", empty_as_null=False)
            .filter(counts.fill_null(False))
            .unnest("annotations")
            .with_row_index("ranking")
            .explode("responses", "values", empty_as_null=False)
        )
        existing = (
            prompts.select("prompt_id", "responses")
            .drop_nulls()
            .explode("responses", empty_as_null=False)
            .unnest("responses")
        )
        calls = pl.col("tool_calls") if "tool_calls" in existing.columns else pl.lit(None, CALLS)
        # By text and calls: a sample that says and calls the same is the same response.
        responses = existing.select(
            "prompt_id",
            text=describe_response(pl.col("text"), calls),
            responses="response_id",
        ).join(
            candidates.responses.select("prompt_id", "text", "response_id"),
            on=["prompt_id", "text"],
        )
        return annotations.join(responses, on=["prompt_id", "responses"]).select(
            "prompt_id", *_SPEAKER, "ranking", "response_id", value="values"
        )
