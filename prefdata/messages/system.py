"""The system prompt that a policy gets beside what the prompt says."""

from __future__ import annotations

import polars as pl

from prefdata.messages.columns import MESSAGES


def add_system(messages: pl.Expr, system: str) -> pl.Expr:
    """The conversations (MESSAGES) with a system prompt before them.

    Where a conversation has a system turn of its own, the turn is the system prompt, a blank line,
    and its own text.
    """
    assert isinstance(MESSAGES, pl.List)
    assert isinstance(MESSAGES.inner, pl.Struct)
    first = messages.list.first().struct
    has_own = first.field("role") == "system"
    content = (
        pl.when(has_own)
        .then(pl.concat_str(pl.lit(f"{system}\n\n"), first.field("content")))
        .otherwise(pl.lit(system))
    )
    turn = {"role": pl.lit("system"), "content": content}
    fields = [
        turn.get(field.name, pl.lit(None)).cast(field.dtype).alias(field.name)
        for field in MESSAGES.inner.fields
    ]
    others = pl.when(has_own).then(messages.list.slice(1)).otherwise(messages)
    return pl.concat_list(pl.struct(fields), others)
