"""The form of HelpSteer3's preferences."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.comparisons.traces import split_traces
from prefdata.dataset.exports.base import ExportBucket, Formatted
from prefdata.dataset.exports.plain import PlainPairs, list_turns
from prefdata.dataset.exports.public.strengths import StrengthConfig, place_pairs
from prefdata.records.base import Record
from prefdata.records.judgment import Judgment
from prefdata.records.preference import Turn

_SIDES = ["response_a", "response_b"]


class HelpSteer3Judgment(BaseModel):
    """What one judge or annotator said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: int = Field(description="-3 to 3, as overall_preference; 0: neither is better.")
    reasoning: str | None = Field(description="What the judge wrote; null: nothing.")
    feedback1: str | None = Field(description="What it wrote about response 1 by itself.")
    feedback2: str | None = Field(description="What it wrote about response 2 by itself.")


class HelpSteer3Preference(Record):
    """One row as those of nvidia/HelpSteer3."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    domain: str
    language: str
    context: list[Turn] = Field(description="The prompt's turns.")
    response1: str = Field(description="The response whose id comes first in text order.")
    response2: str = Field(description="The other response.")
    overall_preference: int = Field(
        description="-3 (response 1 is much better) to 3 (response 2 is much better); never 0."
    )
    individual_preference: list[HelpSteer3Judgment]
    prompt_id: str = Field(description="Content id of the prompt.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected.")


class HelpSteer3Config(StrengthConfig):
    kind: Literal["helpsteer3"] = "helpsteer3"
    domain: str = Field("general", description="The column domain.", examples=["code"])
    language: str = Field("english", description="The column language.", examples=["german"])


class HelpSteer3(PlainPairs):
    """Pairs with the strength of the preference and what each judge said, in the form of
    HelpSteer3."""

    config: HelpSteer3Config
    record = HelpSteer3Preference
    usage = 'dataset["train"]  # columns and types of the preferences of nvidia/HelpSteer3'
    file_format = "jsonl"
    one_file = True
    needs = frozenset({"judgments"})
    cannot_carry = (
        "P(chosen ≻ rejected), of which it has three steps; tools and calls, rewards, and who "
        "judged; judgments that are Unscored; thoughts only inline."
    )

    def format_rows(self, bucket: ExportBucket) -> Formatted:
        pairs = bucket.pairs.with_columns(
            response_a=pl.min_horizontal("chosen_id", "rejected_id"),
            response_b=pl.max_horizontal("chosen_id", "rejected_id"),
        )
        said = self._list_judgments(bucket.judgments)
        keys = ["prompt_id", *_SIDES]
        joined = pairs.join(said, on=keys, how="left", maintain_order="left")
        filled = joined.with_columns(pl.col("said").fill_null([]))
        return super().format_rows(ExportBucket(filled, bucket.tables))

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        return Formatted(
            place_pairs(pairs).select(
                "prompt_id",
                "pair_id",
                "split",
                domain=pl.lit(self.config.domain),
                language=pl.lit(self.config.language),
                context=list_turns(),
                response1="first",
                response2="second",
                overall_preference=self.config.measure_strength(pl.col("p_first")),
                individual_preference="said",
            )
        )

    def _list_judgments(self, judgments: pl.DataFrame) -> pl.DataFrame:
        """`said`: what was said of each comparison, whose response a comes first in text order."""
        feedback = split_traces(pl.col("trace"))
        by_itself = pl.any_horizontal(text.is_not_null() for text in feedback)
        said = pl.struct(
            self.config.measure_strength(pl.col("preference")).alias("score"),
            pl.when(~by_itself).then("trace").alias("reasoning"),
            *(text.alias(f"feedback{n}") for n, text in enumerate(feedback, 1)),
        )
        scored = judgments.filter(pl.col("preference").is_not_null()).sort(Judgment.sort_by)
        return scored.group_by("prompt_id", *_SIDES, maintain_order=True).agg(said=said)
