"""Columns of messages and calls."""

from __future__ import annotations

import polars as pl

from prefdata.records.base import polars_schema
from prefdata.records.prompt import Prompt
from prefdata.records.response import Response

MESSAGES = polars_schema(Prompt)["messages"]
"""A conversation: a list of `Message`."""
CALLS = polars_schema(Response)["tool_calls"]
"""A response's calls: a list of `ToolCall`."""
TURNS = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
"""A conversation of roles and contents alone, as judges ask in."""


def fill_messages(messages: pl.Series) -> pl.Series:
    """The conversations as MESSAGES; fields that their messages lack are null.

    Raises:
        pl.exceptions.PolarsError: They are no lists of role and content.
    """
    assert isinstance(MESSAGES, pl.List)
    assert isinstance(MESSAGES.inner, pl.Struct)
    given = messages.dtype.inner if isinstance(messages.dtype, pl.List) else None
    names = {field.name for field in given.fields} if isinstance(given, pl.Struct) else set()
    fields = [
        pl.element().struct.field(f.name).cast(f.dtype)
        if f.name in names or f.name in ("role", "content")
        else pl.lit(None, dtype=f.dtype).alias(f.name)
        for f in MESSAGES.inner.fields
    ]
    return messages.list.eval(pl.struct(fields))


def select_completions(rows: pl.DataFrame) -> pl.DataFrame:
    """What a model is asked about given responses: messages, completion, finished and prompt_id,
    and of tools, thoughts and tool_calls what the rows have.

    Args:
        rows: One response per row: messages, prompt_id, finished, and `content`, its text without
            thoughts and calls; or `text`, where a response is nothing else.
    """
    there = [name for name in ("tools", "thoughts", "tool_calls") if name in rows.columns]
    completion = "content" if "content" in rows.columns else "text"
    return rows.select("messages", "prompt_id", "finished", *there, completion=completion)
