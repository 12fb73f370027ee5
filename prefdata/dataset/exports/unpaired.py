"""Responses in plain turns, each once, with whether it is desired: KTO's form of most consumers."""

from __future__ import annotations

from abc import abstractmethod

import polars as pl

from prefdata.dataset.exports.base import Export, ExportBucket, Formatted
from prefdata.dataset.exports.conversations import stack_sides
from prefdata.dataset.exports.plain import (
    PlainConfig,
    has_thoughts_in_prompt,
    has_tools_in_prompt,
    list_turns,
    put_prompt_inline,
)
from prefdata.dataset.exports.trl_kto import count_votes
from prefdata.messages.inline import put_inline

_IDS = ("prompt_id", "response_id")


class UnpairedPlain(Export):
    """Chosen responses as desired and rejected ones as not, each once (KTO, arXiv 2402.01306).

    A response that is chosen in one pair and rejected in another falls out; so does one with tools,
    tool calls or, unless `thoughts` says otherwise, thoughts, and one that is empty. Rows are
    ordered by the response's id, which is a digest: KTO's estimate of the KL term takes a response
    to be one to the row beside it, so do not sort them.
    """

    config: PlainConfig
    unit = "responses"
    file_format = "jsonl"
    one_file = True
    cannot_carry = (
        "Which response was compared with which, how surely, and who judged; tools and calls; "
        "thoughts only inline."
    )

    @abstractmethod
    def make_rows(self, responses: pl.DataFrame) -> pl.DataFrame:
        """One row a response.

        Args:
            responses: prompt_id, response_id, split, `conversation` (the prompt's turns and the
                response's, as {role, content}) and `desired`.
        """

    def format_rows(self, bucket: ExportBucket) -> Formatted:
        stacked = stack_sides(bucket.pairs)
        given = count_votes(stacked)
        responses, dropped = given, []
        for reason, (condition, detail) in self._list_limits().items():
            fell = responses.filter(condition)
            dropped.append(fell.select(*_IDS, reason=pl.lit(reason), detail=pl.lit(detail)))
            responses = responses.filter(~condition)
        if self.config.thoughts == "inline":
            text = put_inline(pl.col("thoughts"), pl.col("text")).alias("text")
            responses = responses.with_columns(put_prompt_inline(), text)
        turn = pl.struct(pl.lit("assistant").alias("role"), pl.col("text").alias("content"))
        rows = responses.select(
            *_IDS,
            "split",
            conversation=pl.concat_list(list_turns(), pl.concat_list(turn)),
            desired=pl.col("up") > 0,
        )
        carried = stacked.join(rows, on=_IDS, how="semi")["pair_id"].unique()
        return Formatted(
            self.make_rows(rows), pl.concat(dropped), units_in=given.height, pair_ids=carried
        )

    def _list_limits(self) -> dict[str, tuple[pl.Expr, str]]:
        form = f"{self.where}: the form {self.kind}"
        thoughts = has_thoughts_in_prompt() | pl.col("thoughts").is_not_null()
        both = (pl.col("up") > 0).n_unique().over("prompt_id", "text") > 1
        return {
            "chosen_and_rejected": (
                pl.col("up").is_between(0, pl.col("n"), closed="none"),
                "Chosen in one pair and rejected in another.",
            ),
            "tools": (
                has_tools_in_prompt() | pl.col("tool_calls").is_not_null(),
                f"{form} has no place for tools and their calls; the export trl_kto has.",
            ),
            "thoughts": (
                thoughts & (self.config.thoughts == "refuse"),
                f"{form} has no place for thoughts; see {self.where}.thoughts.",
            ),
            "empty_response": (pl.col("text") == "", "An empty response teaches nothing."),
            "same_text": (
                both & (self.config.thoughts != "inline"),
                "Without its thoughts it is the text of a response with the other label.",
            ),
        }
