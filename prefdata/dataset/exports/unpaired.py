"""Responses in plain turns, each once, with whether it is desired: KTO's form of most consumers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import polars as pl

from prefdata.dataset.exports.base import Export, ExportBucket, Formatted
from prefdata.dataset.exports.conversations import stack_sides
from prefdata.dataset.exports.plain import (
    PlainConfig,
    has_thoughts_in_prompt,
    has_tools_in_prompt,
    limit_turns,
    list_turns,
    put_prompt_inline,
)
from prefdata.dataset.exports.tool_turns import ToolForm, identify_calls, list_tool_structure
from prefdata.dataset.exports.trl_kto import count_votes
from prefdata.messages.inline import put_inline
from prefdata.records.base import Record, polars_schema

_IDS = ("prompt_id", "response_id")


class UnpairedPlain(Export):
    """Chosen responses as desired and rejected ones as not, each once (KTO, arXiv 2402.01306).

    A response that is chosen in one pair and rejected in another falls out; so does one with
    thoughts, unless `thoughts` says otherwise, one with tools or calls that the form can't hold,
    and one that is empty. Rows are
    ordered by the response's id, which is a digest: KTO's estimate of the KL term takes a response
    to be one to the row beside it, so do not sort them.
    """

    config: PlainConfig
    unit = "responses"
    file_format = "jsonl"
    one_file = True
    cannot_carry = (
        "Which response was compared with which, how surely, and who judged; the ids of calls; "
        "thoughts only inline."
    )
    one_turn: ClassVar[bool] = False
    """Whether the form holds no conversation, but a question and an answer."""
    tool_form: ClassVar[ToolForm | None] = None
    """How the rows of `structured` hold tools and calls; None: not."""

    @abstractmethod
    def make_rows(self, responses: pl.DataFrame) -> pl.DataFrame:
        """One row a response, with the columns of `structured`, where there is one.

        Args:
            responses: prompt_id, response_id, split, tools, `conversation` (the prompt's turns and
                the response's, as {role, content}) and `desired`.
        """

    def list_structure(self, bucket: ExportBucket) -> list[str]:
        if self.tool_form is None:
            return []
        responses, _ = self._sort_out(count_votes(stack_sides(bucket.pairs)))
        return list_tool_structure(responses, ["tool_calls"])

    def format_rows(self, bucket: ExportBucket) -> Formatted:
        def join_turns(responses: pl.DataFrame) -> pl.Expr:
            turn = pl.struct(pl.lit("assistant").alias("role"), pl.col("text").alias("content"))
            return pl.concat_list(list_turns(), pl.concat_list(turn))

        return self._format(bucket, self.record, join_turns)

    def format_structured(self, bucket: ExportBucket) -> Formatted:
        form, record = self.tool_form, self.structured
        assert form is not None
        assert record is not None

        def join_turns(responses: pl.DataFrame) -> pl.Expr:
            prompts = form.write_conversations(responses["messages"])
            turns = form.write_responses(responses, "text", "tool_calls")
            return pl.concat_list(pl.lit(prompts), pl.lit(turns))

        return self._format(bucket, record, join_turns)

    def _format(
        self,
        bucket: ExportBucket,
        record: type[Record],
        join_turns: Callable[[pl.DataFrame], pl.Expr],
    ) -> Formatted:
        """The rows of this record, with the prompt's and the response's turns as `join_turns` makes
        them."""
        stacked = stack_sides(bucket.pairs)
        given = count_votes(stacked)
        responses, dropped = self._sort_out(given)
        if self.config.thoughts == "inline":
            text = put_inline(pl.col("thoughts"), pl.col("text")).alias("text")
            responses = responses.with_columns(put_prompt_inline(), text)
        rows = responses.select(
            *_IDS,
            "split",
            "tools",
            conversation=join_turns(responses),
            desired=pl.col("up") > 0,
        )
        carried = stacked.join(rows, on=_IDS, how="semi")["pair_id"].unique()
        made = self.make_rows(rows).select(*polars_schema(record).names(), "split")
        return Formatted(made, dropped, units_in=given.height, pair_ids=carried)

    def _sort_out(self, responses: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(the responses that the form can hold, `Formatted.dropped` of the others)."""
        dropped = []
        for reason, (condition, detail) in self._list_limits().items():
            says = pl.lit(detail) if isinstance(detail, str) else detail
            fell = responses.filter(condition)
            dropped.append(fell.select(*_IDS, reason=pl.lit(reason), detail=says))
            responses = responses.filter(condition.fill_null(False).not_())
        return responses, pl.concat(dropped)

    def _list_limits(self) -> dict[str, tuple[pl.Expr, str | pl.Expr]]:
        form = f"{self.where}: the form {self.kind}"
        thoughts = has_thoughts_in_prompt() | pl.col("thoughts").is_not_null()
        same = pl.col("up").is_between(0, pl.col("n"), closed="none")
        limits: dict[str, tuple[pl.Expr, str | pl.Expr]] = {
            "chosen_and_rejected": (same, "Chosen in one pair and rejected in another.")
        }
        if self.tool_form is not None:
            limits |= self.tool_form.list_limits(form, {"text": "tool_calls"})
        else:
            calls = has_tools_in_prompt() | pl.col("tool_calls").is_not_null()
            says = f"{form} has no place for tools and their calls; the export trl_kto has."
            limits["tools"] = (calls, says)
        if self.one_turn:
            limits["multi_turn"] = limit_turns(form)
        empty = (pl.col("text") == "") & pl.col("tool_calls").is_null()
        both = pl.col("up") > 0
        both = both.n_unique().over("prompt_id", "text", identify_calls("tool_calls")) > 1
        return limits | {
            "thoughts": (
                thoughts & (self.config.thoughts == "refuse"),
                f"{form} has no place for thoughts; see {self.where}.thoughts.",
            ),
            "empty_response": (empty, "An empty response teaches nothing."),
            "same_text": (
                both & (self.config.thoughts != "inline"),
                "Without its thoughts it is the text of a response with the other label.",
            ),
        }
