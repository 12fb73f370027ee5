"""Rewards of the parts of both responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator

from prefdata.asking.conversation import build_turns, disarm_prompts
from prefdata.asking.delimiters import disarm
from prefdata.asking.formats.base import FormatName
from prefdata.asking.formats.replies import Verdict
from prefdata.asking.request import VerdictRequest
from prefdata.asking.rubric import Rubric
from prefdata.asking.templates import check_template, fill_fenced, read_template
from prefdata.augment.base import (
    Augmentation,
    AugmentationConfig,
    Augmented,
    Need,
    PairBucket,
    explain_nulls,
)
from prefdata.engines.base import Requirement, Settings
from prefdata.errors import ConfigError
from prefdata.inference import Inference
from prefdata.messages.columns import CALLS, select_completions
from prefdata.parts.numbers import Tokens, Whole
from prefdata.text.spans import Unit, split_spans

_PLACEHOLDERS = ("criteria", "prompt", "before", "segment")
_SLICE_RESPONSES = 512
"""Responses at once: each is shown as many times as it has segments."""


class QuestionConfig(BaseModel):
    """How a model that gives no rewards is asked to rate a segment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rubric: Rubric = Field(
        Rubric(
            criteria=("It is true.", "It answers what was asked.", "It says something new."),
            anchors={1: "wrong or beside the point", 5: "right, and needed"},
        ),
        description="The criteria and the scale by which a segment is rated.",
    )
    verdict: Literal["auto"] | FormatName = Field(
        "auto", description="How the rating is read; see the judge `pointwise`."
    )
    verdict_tokens: Tokens = Field(256, description="The longest written rating, in tokens.")
    template: str | None = Field(
        None,
        description="The question; null: prefdata/augment/prompts/segment.txt. Placeholders: "
        "{criteria}, {prompt}, {before} (the response up to the segment), {segment}.",
    )

    @field_validator("template")
    @classmethod
    def _check_template(cls, template: str | None) -> str | None:
        if template is not None:
            check_template(template, _PLACEHOLDERS)
        return template


class SegmentsConfig(AugmentationConfig):
    kind: Literal["segments"] = "segments"
    model: str = Field(description="The model's name.", examples=["other"])
    unit: Unit = Field("sentence", description="What a segment is.", examples=["paragraph"])
    question: QuestionConfig | None = Field(
        None,
        description="How a model that gives no rewards rates a segment; null: the model is a "
        "reward model.",
        examples=[{"verdict": "choice"}],
    )
    output: Whole = Field(
        0,
        ge=0,
        le=1000,
        description="Which of a reward model's outputs, from 0.",
        examples=[1],
    )

    asks_again: ClassVar[frozenset[str]] = frozenset({"model", "unit", "question"})
    example: ClassVar[Mapping[str, Any]] = {"model": "policy", "unit": "paragraph"}


class Segments(Augmentation):
    """Gives each sentence or paragraph of both responses a reward of its own, in the two columns
    segments_chosen and segments_rejected (Fine-Grained RLHF, arXiv 2306.01693).

    A reward model's reward of a segment is that of the response up to the segment's end. Any other
    model is asked a question about the segment, and its reward is the expected rating, as that of
    the judge `pointwise`. In both cases, as in the paper, the model reads what came before, and
    nothing of what comes after. It sees neither thoughts nor tool calls.
    """

    config: SegmentsConfig
    columns: ClassVar[tuple[str, ...]] = ("segments_chosen", "segments_rejected")
    explained: ClassVar[tuple[str, ...]] = columns
    needs: ClassVar[frozenset[Need]] = frozenset({"texts"})

    def requirements(self) -> Sequence[Requirement]:
        if self._request:
            return [self._request.requirement()]
        return [Requirement.of(self.config.model, "reward")]

    @property
    def _request(self) -> VerdictRequest | None:
        asked, where = self.config.question, f"{self.where}.question"
        if asked is None:
            return None
        reply = Verdict(asked.rubric.options)
        return VerdictRequest(self.config.model, asked.verdict, asked.verdict_tokens, reply, where)

    def augment(self, bucket: PairBucket, inference: Inference) -> Augmented:
        responses = bucket.join_prompts().join(
            disarm_prompts(bucket.prompts), on="prompt_id", how="left", maintain_order="left"
        )
        slices = responses.iter_slices(_SLICE_RESPONSES)
        rewarded = pl.concat(self._reward_segments(part, inference) for part in slices)
        pairs, dropped = bucket.pairs, []
        for side in ("chosen", "rejected"):
            column = f"segments_{side}"
            of_side = rewarded.select(
                pl.col("response_id").alias(f"{side}_id"), "error", pl.col("segments").alias(column)
            )
            joined = pairs.join(of_side, on=f"{side}_id", how="left", maintain_order="left")
            error, nothing = pl.col("error"), pl.lit("no_text: the response has no text to split")
            reason = pl.coalesce(error, nothing)
            dropped.append(explain_nulls(joined, column, reason, fault=error.is_not_null()))
            pairs = joined.drop("error")
        return Augmented(pairs, pl.concat(dropped))

    def _reward_segments(self, responses: pl.DataFrame, inference: Inference) -> pl.DataFrame:
        """response_id, segments (null where one could not be had), and error of the first such."""
        spans = split_spans(responses["content"], self.config.unit)
        segments = responses[spans["row"]].hstack(spans)
        ask = self._ask_question if self._request else self._ask_rewards
        rewarded = segments.select("response_id", "start", "end").hstack(ask(segments, inference))
        segment = pl.struct("start", "end", "reward")
        return rewarded.group_by("response_id", maintain_order=True).agg(
            error=pl.col("error").drop_nulls().first(),
            segments=pl.when(pl.col("error").null_count() == pl.len()).then(segment.implode()),
        )

    def _ask_rewards(self, segments: pl.DataFrame, inference: Inference) -> pl.DataFrame:
        """`reward` of the response up to each segment's end, and `error`."""
        last = pl.col("row").is_last_distinct()
        prefixes = segments.with_columns(
            # The last is the whole response, as a judge by this model has asked about it.
            content=pl.when(last).then("content").otherwise(pl.col("content").str.head("end")),
            finished=pl.when(last).then("finished").otherwise(True),
            thoughts=pl.lit(None, dtype=pl.String),
            tool_calls=pl.lit(None, dtype=CALLS),
        )
        asked = inference.ask(self.config.model, "reward", Settings(), select_completions(prefixes))
        reward = pl.col("reward")
        failed = pl.format("not_a_reward: {}", reward.cast(pl.String))
        return asked.select("error", reward=self._take_output(asked["rewards"])).with_columns(
            error=pl.coalesce("error", pl.when(~reward.is_finite()).then(failed))
        )

    def _ask_question(self, segments: pl.DataFrame, inference: Inference) -> pl.DataFrame:
        """`reward`, the expected rating of each segment, and `error`."""
        asked, request = self.config.question, self._request
        assert asked is not None
        assert request is not None
        content, start = pl.col("content"), pl.col("start")
        values = {
            "criteria": pl.lit(asked.rubric.render()),
            "prompt": pl.col("prompt"),
            "before": disarm(content.str.head("start")),
            "segment": disarm(content.str.slice(start, pl.col("end") - start)),
        }
        template = asked.template or read_template("prefdata.augment", "segment")
        rows = segments.select("prompt_id", messages=build_turns(fill_fenced(template, values)))
        verdicts = request.ask(inference, rows)
        return verdicts.select(reward=asked.rubric.average(pl.col("logprobs")), error="unscored")

    def _take_output(self, rewards: pl.Series) -> pl.Series:
        outputs = rewards.list.len().drop_nulls().min()
        if isinstance(outputs, int) and outputs <= self.config.output:
            raise ConfigError(
                f"{self.where}.output: {self.config.output}, but {self.config.model} has "
                f"{outputs} outputs",
                f"Set output to a number below {outputs}.",
            )
        return rewards.list.get(self.config.output, null_on_oob=True)
