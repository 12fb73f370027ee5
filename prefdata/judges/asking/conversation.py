"""Conversations and responses as text for a judge's template."""

from __future__ import annotations

from functools import cache
from importlib import resources

import polars as pl


def transcript(messages: pl.Expr) -> pl.Expr:
    """One turn: its content. Several: "User: …" and "Assistant: …" turns, a blank line between."""
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


def fill(template: str, **values: pl.Expr) -> pl.Expr:
    """The template with each `{name}` replaced, in one pass: values are never read again."""
    parts: list[pl.Expr] = []
    rest = template
    while rest:
        found = [(rest.find("{" + name + "}"), name) for name in values]
        position, name = min((f for f in found if f[0] >= 0), default=(-1, ""))
        if position < 0:
            break
        parts += [pl.lit(rest[:position]), values[name]]
        rest = rest[position + len(name) + 2 :]
    return pl.concat_str([*parts, pl.lit(rest)])


@cache
def template(name: str) -> str:
    """The text of judges/prompted/prompts/NAME.txt."""
    folder = resources.files("prefdata.judges.prompted") / "prompts"
    return (folder / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def turns(*contents: pl.Expr) -> pl.Expr:
    """A conversation: the user's turn, the assistant's, the user's, and so on."""
    roles = ("user", "assistant")
    return pl.concat_list(
        pl.struct(pl.lit(roles[n % 2]).alias("role"), content.alias("content"))
        for n, content in enumerate(contents)
    )
