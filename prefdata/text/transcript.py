"""A conversation as one text, and a response as one text."""

from __future__ import annotations

import polars as pl

_TITLES = {"user": "User: ", "assistant": "Assistant: ", "system": "System: ", "tool": "Tool: "}


def transcript(messages: pl.Expr) -> pl.Expr:
    """The conversations (lists of messages) as texts, as judges and embedders read them.

    A single turn is its content alone. Several turns are "System: …", "User: …", "Assistant: …"
    and "Tool: …", separated by blank lines. An assistant's calls stand below its content, as in
    `describe_response`; thoughts are left out.
    """
    turn = pl.element().struct
    text = describe_response(turn.field("content"), turn.field("tool_calls"))
    titled = pl.concat_str(turn.field("role").replace_strict(_TITLES), text)
    only = messages.list.first().struct.field("content")
    return (
        pl.when(messages.list.len() == 1)
        .then(only)
        .otherwise(messages.list.eval(titled).list.join("\n\n"))
    )


def describe_response(content: pl.Expr, tool_calls: pl.Expr) -> pl.Expr:
    """A response as one text: its content, then each call on a line, such as
    `Call get_weather({"city":"Paris"})`.

    A response without calls is its content, unchanged.
    """
    call = pl.element().struct
    lines = tool_calls.list.eval(
        pl.format("Call {}({})", call.field("name"), call.field("arguments"))
    ).list.join("\n")
    parts = pl.concat_str(
        pl.when(content != "").then(content), lines, separator="\n\n", ignore_nulls=True
    )
    return pl.when(tool_calls.is_null()).then(content).otherwise(parts)
