"""The form of CUT: responses with judgments in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.traces import split_traces
from prefdata.dataset.exports.base import ExportBucket, Formatted, sort_out
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs
from prefdata.records.base import Record


class JudgedResponse(Record):
    """One row for CUT."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "response_id", "judgment")

    instruction: str = Field(description="The user's turn.")
    input: str = Field(description="Always empty.")
    output: str = Field(description="The response.")
    judgment: str | None = Field(description="What is wrong with it; null: nothing.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    response_id: str = Field(description="The response's id; not read.")


class CutConfig(PlainConfig):
    kind: Literal["cut"] = "cut"
    judges: list[str] = Field(
        [],
        description="The judges whose traces are judgments, such as a critique judge, and the "
        "revisions whose critiques are; none: every judge that writes about each response by "
        "itself, and every revision.",
        examples=[["critique"]],
    )
    praised: bool = Field(
        True, description="Whether chosen responses are rows too, without a judgment."
    )


class Cut(PlainPairs):
    """Responses of one turn with judgments in words, for CUT.

    Reasons to Reject? Aligning Language Models with Judgments (Xu et al., arXiv 2312.14591): a
    rejected response with what is wrong with it, once for each judgment, and a chosen one without
    any. A judgment is what a judge wrote about this response alone, such as a critique, or what a
    model wrote about it before it revised it (`generate.revisions`, kind refine). A response
    that is rejected in another pair is not praised. The columns are those that
    `finetune_unlikelihood.py` of the authors reads.
    """

    config: CutConfig
    record = JudgedResponse
    usage = "{name}/train.jsonl  # the rows that the code of CUT reads"
    one_turn = True
    system_turn = False
    file_format = "jsonl"
    one_file = True
    needs = frozenset({"judgments", "responses"})
    one_way = (
        "A row is one response, and its judgment in words is no rating that a source could read."
    )
    cannot_carry = (
        "Conversations, system turns, tools and calls, labels, rewards, and judgments without "
        "words; thoughts only inline."
    )

    def format_rows(self, bucket: ExportBucket) -> Formatted:
        critiques = read_critiques(bucket.judgments, bucket.responses, self.config.judges)
        found = critiques.group_by("rejected_id").agg(pl.col("critique").unique().sort())
        pairs = bucket.pairs.join(found, on="rejected_id", how="left", maintain_order="left")
        return super().format_rows(ExportBucket(pairs, bucket.tables))

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        detail = (
            f"No judge or revision wrote about the rejected response by itself; see "
            f"{self.where}.judges."
        )
        pairs, dropped = sort_out(pairs, {"no_judgment": (pl.col("critique").is_null(), detail)})
        rejected = (
            pairs.select(
                "prompt_id",
                "split",
                instruction="question",
                input=pl.lit(""),
                output="rejected",
                response_id="rejected_id",
                judgment="critique",
            )
            .unique("response_id", keep="first", maintain_order=True)
            .explode("judgment")
        )
        chosen = (
            pairs.join(rejected, left_on="chosen_id", right_on="response_id", how="anti")
            .select(
                "prompt_id",
                "split",
                instruction="question",
                input=pl.lit(""),
                output="chosen",
                response_id="chosen_id",
                judgment=pl.lit(None, pl.String),
            )
            .unique("response_id", keep="first", maintain_order=True)
        )
        rows = pl.concat([rejected, chosen]) if self.config.praised else rejected
        return Formatted(rows, dropped, units_out=pairs.height)


def read_critiques(
    judgments: pl.DataFrame, responses: pl.DataFrame, names: Sequence[str]
) -> pl.DataFrame:
    """What judges and revisions wrote about responses one by one: rejected_id and critique.

    Args:
        judgments: `Judgment` rows; those without a preference are left out.
        responses: `Response` rows; those of revisions may have critiques of what they revise.
        names: The names of the judges and revisions; none: all.
    """

    def select_named(column: str) -> pl.Expr:
        return pl.col(column).is_in(list(names)) if names else pl.lit(True)

    scored = judgments.filter(select_named("judge") & pl.col("unscored").is_null())
    written = split_traces(pl.col("trace"))
    sides = (
        scored.select(rejected_id=f"response_{side}", critique=text)
        for side, text in zip(("a", "b"), written, strict=True)
    )
    revised = responses.filter(select_named("policy")).select(
        "critique", rejected_id="revised_from"
    )
    of_revisions = revised.drop_nulls().select("rejected_id", "critique")
    return pl.concat([*sides, of_revisions]).filter(pl.col("critique").str.strip_chars() != "")
