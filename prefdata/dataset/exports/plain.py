"""Pairs in plain turns: what most consumers' messages can hold, and what falls out for that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Export, ExportBucket, ExportConfig, Formatted, sort_out
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.tool_turns import ToolForm, identify_calls, list_tool_structure
from prefdata.messages.inline import put_inline

CALLS = tuple(f"{side}_tool_calls" for side in SIDES)
_TURN = pl.element().struct


class PlainConfig(ExportConfig):
    thoughts: Literal["refuse", "inline", "drop"] = Field(
        "refuse",
        description="What becomes of an assistant's thoughts, for which the form has no place. "
        "refuse: the pair falls out, with its reason; inline: they stand in the text, as "
        "<think>…</think>; drop: they are left out.",
    )


class PlainPairs(Export):
    """Pairs whose turns are role and content, and nothing else.

    A pair with tools, tool calls or, unless `thoughts` says otherwise, thoughts falls out; so does
    one whose two responses are the same text without them.
    """

    config: PlainConfig
    one_turn: ClassVar[bool] = False
    """Whether the form holds no conversation, but a question and an answer."""
    system_turn: ClassVar[bool] = True
    """Whether the form holds a system turn."""
    tool_calls: ClassVar[bool] = False
    """Whether the form holds tools, calls and their results, as OpenAI's does."""
    tool_form: ClassVar[ToolForm | None] = None
    """How the rows of `structured` hold them; None: not."""

    @abstractmethod
    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        """The rows of pairs that the form can hold; what drops out of them besides.

        Args:
            pairs: As in the bucket; `messages` and the texts have the thoughts that are to stand in
                them, and `question` is the last turn's text.
        """

    def make_structured_rows(self, pairs: pl.DataFrame) -> Formatted:
        """The same, with tools and calls, where there is a `tool_form`."""
        raise NotImplementedError

    def list_structure(self, bucket: ExportBucket) -> list[str]:
        if self.tool_form is None:
            return []
        pairs, _ = sort_out(bucket.pairs, self._list_limits())
        return list_tool_structure(pairs, CALLS)

    def format_rows(self, bucket: ExportBucket) -> Formatted:
        return self._format(bucket, self.make_rows)

    def format_structured(self, bucket: ExportBucket) -> Formatted:
        return self._format(bucket, self.make_structured_rows)

    def _format(
        self, bucket: ExportBucket, make_rows: Callable[[pl.DataFrame], Formatted]
    ) -> Formatted:
        pairs, dropped = sort_out(bucket.pairs, self._list_limits())
        pairs, same = sort_out(
            self._place_thoughts(pairs), {"same_text": (self._are_same(), _SAME_TEXT)}
        )
        question = pl.col("messages").list.last().struct.field("content")
        made = make_rows(pairs.with_columns(question=question))
        return Formatted(
            made.rows,
            pl.concat([dropped, same, made.dropped], how="diagonal"),
            made.units_in,
            made.units_out,
            made.pair_ids,
        )

    def _list_limits(self) -> dict[str, tuple[pl.Expr, str | pl.Expr]]:
        form = f"{self.where}: the form {self.kind}"
        turns = pl.col("messages").list
        limits: dict[str, tuple[pl.Expr, str | pl.Expr]] = {}
        says: str | pl.Expr
        if self.tool_form is not None:
            limits |= self.tool_form.list_limits(form, dict(zip(SIDES, CALLS, strict=True)))
        elif not self.tool_calls:
            says = f"{form} has no place for tools and their calls; the export trl has."
            limits["tools"] = (_has_tools(), says)
        if self.config.thoughts == "refuse":
            says = f"{form} has no place for thoughts; see {self.where}.thoughts."
            limits["thoughts"] = (_has_thoughts(), says)
        if not self.system_turn:
            system = turns.first().struct.field("role") == "system"
            limits["system_turn"] = (system, f"{form} has no system turn.")
        if self.one_turn:
            limits["multi_turn"] = limit_turns(form)
        return limits

    def _place_thoughts(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """The pairs with the thoughts where the setting wants them."""
        if self.config.thoughts != "inline":
            return pairs
        return pairs.with_columns(
            put_prompt_inline(),
            *(put_inline(pl.col(f"{s}_thoughts"), pl.col(s)).alias(s) for s in SIDES),
        )

    def _are_same(self) -> pl.Expr:
        same = pl.col("chosen") == pl.col("rejected")
        if self.tool_form is not None:
            one, other = map(identify_calls, CALLS)
            return same & one.eq_missing(other)
        if self.tool_calls:
            return same & pl.col("chosen_tool_calls").eq_missing(pl.col("rejected_tool_calls"))
        return same


_SAME_TEXT = "Chosen and rejected are the same text in this form."


def list_turns() -> pl.Expr:
    """The prompt's turns as {role, content}."""
    turn = pl.struct(_TURN.field("role"), _TURN.field("content"))
    return pl.col("messages").list.eval(turn)


def make_response(side: str) -> pl.Expr:
    """The text of a side as an assistant's turn."""
    return pl.struct(pl.lit("assistant").alias("role"), pl.col(side).alias("content"))


def list_conversation(side: str) -> pl.Expr:
    """The prompt's turns and the response of a side, as {role, content}."""
    return pl.concat_list(list_turns(), pl.concat_list(make_response(side)))


def place_turns(pairs: pl.DataFrame, prompt: str) -> pl.DataFrame:
    """The ids, the split, `chosen` and `rejected` as one turn each, and the prompt's turns as the
    column of this name."""
    return pairs.select(
        "prompt_id",
        "pair_id",
        "split",
        *(make_response(side).alias(side) for side in SIDES),
        list_turns().alias(prompt),
    )


def find_system() -> pl.Expr:
    """The text of the system turn; null where the prompt has none."""
    first = pl.col("messages").list.first().struct
    return pl.when(first.field("role") == "system").then(first.field("content"))


def limit_turns(form: str) -> tuple[pl.Expr, pl.Expr]:
    """That a prompt has several turns besides the system's, and the detail; see `sort_out`."""
    turns = pl.col("messages").list
    count = turns.len() - (turns.first().struct.field("role") == "system").cast(pl.UInt32)
    return count > 1, pl.format("{} holds one turn; the prompt has {}.", pl.lit(form), count)


def has_tools_in_prompt() -> pl.Expr:
    """Whether a prompt has tools, or turns that call them."""
    in_turn = (_TURN.field("role") == "tool") | _TURN.field("tool_calls").is_not_null()
    calls = pl.col("messages").list.eval(in_turn).list.any()
    return pl.col("tools").is_not_null() | calls


def has_thoughts_in_prompt() -> pl.Expr:
    """Whether a turn of the prompt has thoughts."""
    return pl.col("messages").list.eval(_TURN.field("thoughts").is_not_null()).list.any()


def put_prompt_inline() -> pl.Expr:
    """The messages with the thoughts of each in its text."""
    content = put_inline(_TURN.field("thoughts"), _TURN.field("content"))
    return pl.col("messages").list.eval(_TURN.with_fields(content.alias("content")))


def _has_tools() -> pl.Expr:
    calls = (pl.col(column).is_not_null() for column in CALLS)
    return pl.any_horizontal(has_tools_in_prompt(), *calls)


def _has_thoughts() -> pl.Expr:
    thoughts = (pl.col(f"{side}_thoughts").is_not_null() for side in SIDES)
    return pl.any_horizontal(has_thoughts_in_prompt(), *thoughts)
