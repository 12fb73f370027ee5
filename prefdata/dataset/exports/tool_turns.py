"""Tools and their calls as turns of roles and texts, in the forms that have roles for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

_TURN = pl.element().struct
_TURNS = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


@dataclass(frozen=True)
class ToolForm:
    """How a form writes calls and their results.

    Attributes:
        call: The role of a turn that calls.
        result: The role of a call's result.
        one_each: Whether a turn's calls are one turn, as a list where they are several, to which
            one result answers, and whose text has no place. Else each call and each result is a
            turn, behind a turn of the text.
    """

    call: str
    result: str
    one_each: bool

    def list_limits(
        self, form: str, responses: Mapping[str, str]
    ) -> dict[str, tuple[pl.Expr, str | pl.Expr]]:
        """What the form can't hold; see `sort_out`.

        Args:
            form: The form's name, for the details.
            responses: The columns of the responses' texts and of their calls.
        """
        calls, role = _TURN.field("tool_calls"), _TURN.field("role")
        after_result = role.shift(1) == "tool"
        limits: dict[str, tuple[pl.Expr, str | pl.Expr]] = {
            "results_out_of_order": (
                pl.col("messages").map_elements(_mixes_results, pl.Boolean),
                f"{form} has no ids of calls, and the results are in another order than the calls.",
            )
        }
        if self.one_each:
            both = [(pl.col(text) != "") & pl.col(c).is_not_null() for text, c in responses.items()]
            spoken = calls.is_not_null() & (_TURN.field("content") != "")
            limits |= {
                "text_and_calls": (
                    pl.any_horizontal(_any_turn(spoken), *both),
                    f"{form} has turns that say something, and turns that call tools, none that "
                    "does both.",
                ),
                "several_results": (
                    _any_turn((role == "tool") & after_result),
                    f"{form} has one result for all calls of a turn.",
                ),
                "user_after_result": (
                    _any_turn((role == "user") & after_result),
                    f"{form} has an assistant's turn behind each result.",
                ),
            }
        return limits

    def write_conversations(self, conversations: Iterable[Sequence[Any]]) -> pl.Series:
        """Each conversation, a list of `Message`, as turns of role and content."""
        written = [
            [turn for message in messages for turn in self._write_message(message)]
            for messages in conversations
        ]
        return pl.Series(written, dtype=_TURNS)

    def write_responses(self, rows: pl.DataFrame, text: str, calls: str) -> pl.Series:
        """Each response as turns of role and content.

        Args:
            rows: The responses.
            text: The column of their texts.
            calls: The column of their calls.
        """
        return self.write_conversations(
            [{"role": "assistant", "content": content, "tool_calls": made}]
            for content, made in rows.select(text, calls).iter_rows()
        )

    def _write_message(self, message: Mapping[str, Any]) -> list[dict[str, str]]:
        text, calls = message["content"], message["tool_calls"]
        if message["role"] == "tool":
            return [{"role": self.result, "content": text}]
        if not calls:
            return [{"role": message["role"], "content": text}]
        written = [_write_call(call) for call in calls]
        if self.one_each:
            joined = written[0] if len(written) == 1 else f"[{', '.join(written)}]"
            # Of a turn that calls, the text is nothing but thoughts that stand inline.
            return [{"role": self.call, "content": text + joined}]
        said = [{"role": "assistant", "content": text}] if text else []
        return [*said, *({"role": self.call, "content": call} for call in written)]


def identify_calls(calls: str) -> pl.Expr:
    """The names and arguments of the calls in this column, as text; null: none."""
    call = pl.format("{}\0{}", _TURN.field("name"), _TURN.field("arguments"))
    return pl.col(calls).list.eval(call).list.join("\0\0")


def list_tool_structure(rows: pl.DataFrame, calls: Iterable[str]) -> list[str]:
    """What the rows hold: tools, tool_calls. `calls` are the columns of their responses' calls."""
    in_turn = (_TURN.field("role") == "tool") | _TURN.field("tool_calls").is_not_null()
    called = pl.any_horizontal(_any_turn(in_turn), *(pl.col(c).is_not_null() for c in calls))
    found = rows.select(tools=pl.col("tools").is_not_null().any(), tool_calls=called.any())
    return [name for name, there in found.row(0, named=True).items() if there]


def _any_turn(condition: pl.Expr) -> pl.Expr:
    return pl.col("messages").list.eval(condition).list.any()


def _write_call(call: Mapping[str, Any]) -> str:
    name = orjson.dumps(call["name"]).decode()
    # The arguments as they are: a number that JSON readers round would come out as another one.
    return f'{{"name": {name}, "arguments": {call["arguments"]}}}'


def _mixes_results(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether results stand in another order than the calls that they answer."""
    waiting: list[str | None] = []
    for message in messages:
        if message["role"] != "tool":
            waiting = [call["id"] for call in message["tool_calls"] or ()]
        elif waiting and message["tool_call_id"] != waiting.pop(0):
            return True
    return False
