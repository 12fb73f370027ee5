"""What a model wrote: its own text after its thoughts, and why there may be none to read."""

from __future__ import annotations

import polars as pl


def strip_thoughts(text: pl.Expr) -> pl.Expr:
    """What the model wrote after its thoughts; empty where it never left them."""
    after = text.str.replace(r"(?s)\A.*</think>", "")
    return (
        pl.when(after.str.contains("<think>", literal=True)).then(pl.lit("")).otherwise(after)
    ).str.strip_chars()


def find_unreadable(asked: pl.DataFrame, setting: str) -> pl.DataFrame:
    """Sort the results of `generate` into those that can be read and those that can't.

    Args:
        asked: The results: text, finish_reason, error.
        setting: The setting that allows longer texts, for the message.

    Returns:
        One row per result: `own` (the text without thoughts), `written` (all of it) and
        `unscored` (why there is nothing to read; null: there is).
    """
    own = asked.with_columns(own=strip_thoughts(pl.col("text").fill_null("")))
    return own.select(
        "own",
        written="text",
        unscored=pl.when(pl.col("error").is_not_null())
        .then("error")
        .when(pl.col("finish_reason") == "length")
        .then(pl.lit(f"cut_off: the model did not come to its end; raise {setting}"))
        .when(pl.col("text").fill_null("").str.strip_chars() == "")
        .then(pl.lit("empty: the model wrote nothing"))
        .when(pl.col("own") == "")
        .then(pl.lit("only_thoughts: the model wrote nothing after its thoughts")),
    )
