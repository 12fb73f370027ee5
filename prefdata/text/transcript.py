"""A conversation as one text."""

from __future__ import annotations

import polars as pl


def transcript(messages: pl.Expr) -> pl.Expr:
    """The conversations (lists of role and content) as texts, as judges and embedders read them.

    A single turn is its content alone. Several turns are "System: …", "User: …" and
    "Assistant: …", separated by blank lines.
    """
    role, content = pl.element().struct.field("role"), pl.element().struct.field("content")
    titled = pl.concat_str(
        pl.when(role == "user")
        .then(pl.lit("User: "))
        .when(role == "assistant")
        .then(pl.lit("Assistant: "))
        .otherwise(pl.lit("System: ")),
        content,
    )
    only = messages.list.first().struct.field("content")
    return (
        pl.when(messages.list.len() == 1)
        .then(only)
        .otherwise(messages.list.eval(titled).list.join("\n\n"))
    )
