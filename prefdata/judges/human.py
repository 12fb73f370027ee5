"""Human annotators: each one's own judgment of two responses, never a mean of several."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, ValidationError, model_validator

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.traces import RESPONSES, join_traces
from prefdata.errors import ConfigError, DropRecord, PrefdataError
from prefdata.files.rows import read_rows
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates, Judge, JudgeConfig, fill_judgments
from prefdata.messages.columns import CALLS
from prefdata.parts.inputs import InputPath
from prefdata.records.annotation import AnnotationKind
from prefdata.records.base import polars_schema
from prefdata.records.judgment import NOT_ANNOTATED, PersonJudgment
from prefdata.records.prompt import Prompt
from prefdata.text.transcript import describe_response

logger = logging.getLogger(__name__)

_SPEAKER = ("annotator", "group", "dimension")


class HumanConfig(JudgeConfig):
    kind: Literal["human"] = "human"
    annotations: AnnotationKind | None = Field(
        None,
        description="The kind of annotations of the sources to use; null: `judgments` instead.",
        examples=["thumb"],
    )
    judgments: InputPath | None = Field(
        None,
        description="File of people's judgments of this run's comparisons, from prefdata review "
        "import; null: `annotations` instead.",
        examples=["review/judgments.jsonl"],
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

    strengths: bool = Field(
        True,
        description="Whether a preference is as sure as it is strong, where annotations say how "
        "strong: P = 0.5 + strength / 2. false: it is 1 or 0.",
    )

    example: ClassVar[dict[str, Any]] = {"annotations": "rating"}

    @model_validator(mode="after")
    def _check_one_is_set(self) -> HumanConfig:
        if (self.annotations is None) == (self.judgments is None):
            raise ValueError("set one of annotations and judgments")
        return self


class HumanJudge(Judge):
    """Turns people's annotations, or their judgments of this run's comparisons, into judgments.

    Annotations come with the prompts, in the sources. Judgments come from `prefdata review`, in a
    file: one row per comparison and annotator, by the ids of the responses.

    Aligning with people who disagree needs each annotator's own preference: PAL (arXiv 2406.08469)
    and VPL (arXiv 2408.10075) learn from each annotator's comparisons, MaxMin-RLHF (arXiv
    2402.08925) from each group's. So there is one row per comparison and annotator who annotated
    both responses. The response with the higher rating, the better rank or the thumb up is
    preferred; equal values are a tie. Where a ranking says how strongly its best is preferred, that
    is how far P lies from 0.5. What the annotator wrote is in `trace`. An annotator who annotated
    only one of the two responses has no row. If nobody judged a comparison, it is Unscored.
    """

    config: HumanConfig

    def __init__(self, config: HumanConfig, where: str = "") -> None:
        super().__init__(config, where)
        # A rank depends on the responses it was given among, so it is not a reward.
        self.gives_rewards = config.annotations in ("rating", "thumb")

    def setup(self) -> None:
        if self.config.judgments is not None:
            self._judged = _read_judgments(self.config.judgments, f"{self.where}.judgments")

    def list_dimensions(self) -> Sequence[str] | None:
        return None

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        if self.config.judgments is not None:
            annotated = self._select_judgments(candidates)
            asked = "judged it in the review"
        else:
            annotated = self._compare_annotations(candidates)
            asked = f"annotated both responses ({self.config.annotations})"
        unannotated = candidates.comparisons.join(annotated, on=COMPARISON, how="anti")
        unannotated = unannotated.with_columns(
            preference=pl.lit(None, dtype=pl.Float64),
            unscored=pl.lit(f"{NOT_ANNOTATED}: nobody {asked}"),
        )
        return fill_judgments(self.name, pl.concat([annotated, unannotated], how="diagonal"))

    def _select_judgments(self, candidates: Candidates) -> pl.DataFrame:
        """The file's judgments of these comparisons, one per annotator."""
        rows = self._judged.join(candidates.prompts.select("prompt_id"), on="prompt_id", how="semi")
        found = rows.join(candidates.comparisons, on=COMPARISON, how="semi")
        if found.height < rows.height:
            logger.warning(
                "%s: %d judgments in %s are of comparisons that this run no longer has",
                self.where,
                rows.height - found.height,
                self.config.judgments,
            )
        return (
            found.filter(self._counts(pl.col("annotator"), pl.col("group")))
            .group_by(*COMPARISON, *_SPEAKER)
            .agg(
                preference=pl.when(pl.col("preference").n_unique() == 1).then(
                    pl.col("preference").first()
                ),
                unscored=pl.when(pl.col("preference").n_unique() > 1).then(
                    pl.lit("contradictory: the file has two judgments of one annotator")
                ),
                trace=pl.col("trace").min(),
            )
            .sort(*COMPARISON, *_SPEAKER)
        )

    def _counts(self, annotator: pl.Expr, group: pl.Expr) -> pl.Expr:
        """Whether an annotator is one of those whose judgments count."""
        chosen = ((annotator, self.config.annotators), (group, self.config.groups))
        wanted = [each.is_in(names).fill_null(False) for each, names in chosen if names is not None]
        return pl.all_horizontal(pl.lit(True), *wanted)

    def _compare_annotations(self, candidates: Candidates) -> pl.DataFrame:
        """One judgment per comparison and annotator of both its responses."""
        values, ranked = self._select_values(candidates), self.config.annotations == "ranking"
        # Ranks can be compared only within one ranking; ratings and thumbs across annotations.
        same = ["prompt_id", *_SPEAKER, *(["ranking"] if ranked else [])]
        of_side = ("response_id", "value", "reason")
        one, other = (
            values.select(*same, *shared, *(pl.col(c).alias(f"{c}_{side}") for c in of_side))
            for side, shared in (("a", ("strength", "justification")), ("b", ()))
        )
        both = candidates.comparisons.join(
            one.rename({"response_id_a": "response_a"}), on=["prompt_id", "response_a"]
        ).join(
            other.rename({"response_id_b": "response_b"}),
            on=[*same, "response_b"],
            nulls_equal=True,
        )
        better = pl.col("value_a") - pl.col("value_b")
        better = (-better if ranked else better).sign()
        differs = pl.col("better").n_unique() > 1
        annotated = (
            both.with_columns(better=better)
            .with_columns(p=0.5 + pl.col("better") * self._measure_strength() / 2)
            .group_by(*COMPARISON, *_SPEAKER)
            .agg(
                preference=pl.when(~differs).then(pl.col("p").sort().mean()),
                reward_a=pl.col("value_a").first(),
                reward_b=pl.col("value_b").first(),
                unscored=pl.when(differs).then(
                    pl.lit("contradictory: the annotator's rankings order the two differently")
                ),
                # The smallest, so that it does not hang on the order of the rows.
                **{name: pl.col(name).min() for name in ("justification", "reason_a", "reason_b")},
            )
            .with_columns(reasons=join_traces("reason_a", "reason_b", RESPONSES))
            .with_columns(trace=_join_texts("justification", "reasons"))
            .sort(*COMPARISON, *_SPEAKER)
        )
        return annotated if self.gives_rewards else annotated.drop("reward_a", "reward_b")

    def _select_values(self, candidates: Candidates) -> pl.DataFrame:
        """prompt_id, annotator, group, dimension, ranking, response_id, value, reason, strength,
        justification: one row per annotator and response, of the selected annotators."""
        schema = polars_schema(Prompt)
        prompts = candidates.prompts
        absent = [c for c in ("responses", "annotations") if c not in prompts.columns]
        prompts = prompts.with_columns(pl.lit(None, dtype=schema[c]).alias(c) for c in absent)
        annotation = pl.col("annotations").struct
        counts = (annotation.field("kind") == self.config.annotations) & self._counts(
            annotation.field("annotator"), annotation.field("group")
        )
        alone = pl.col("responses").list.len() == 1
        annotations = (
            prompts.select("prompt_id", "annotations")
            .drop_nulls()
            .explode("annotations", empty_as_null=False)
            .filter(counts.fill_null(False))
            .unnest("annotations")
            .with_row_index("ranking")
            # What was written of one response alone is its reason.
            .with_columns(
                reason=pl.coalesce(
                    "justifications",
                    pl.when(alone).then("justification").repeat_by(pl.col("values").list.len()),
                ),
                justification=pl.when(~alone).then("justification"),
            )
            .explode("responses", "values", "reason", empty_as_null=False)
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
            "prompt_id",
            *_SPEAKER,
            "ranking",
            "response_id",
            "reason",
            "strength",
            "justification",
            value="values",
        )

    def _measure_strength(self) -> pl.Expr:
        """How far from a tie a preference is, from 0 to 1. A ranking's strength is that of its best
        response alone."""
        if self.config.annotations != "ranking" or not self.config.strengths:
            return pl.lit(1.0)
        has_best = pl.min_horizontal("value_a", "value_b") == 1
        return pl.when(has_best & pl.col("strength").is_not_null()).then("strength").otherwise(1.0)


def _join_texts(one: str, other: str) -> pl.Expr:
    joined = pl.concat_str(one, other, separator="\n\n", ignore_nulls=True)
    return pl.when(pl.any_horizontal(pl.col(one, other).is_not_null())).then(joined)


def _read_judgments(path: str, where: str) -> pl.DataFrame:
    """`PersonJudgment` rows. Raises ConfigError with the first row that is none."""
    rows = []
    try:
        for row in read_rows(path):
            if isinstance(row.value, DropRecord):
                raise ConfigError(f"{where}: {path}, row {row.number}: {row.value.problem}")
            rows.append(PersonJudgment.model_validate(row.value).model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{where}: {path}, row {len(rows) + 1}: {field}: {first['msg']}",
            "Use a file that `prefdata review import` wrote.",
        ) from None
    except PrefdataError as error:
        raise ConfigError(f"{where}: {error.problem}", error.remedy) from None
    return pl.DataFrame(rows, schema=polars_schema(PersonJudgment))
