"""The preference format of TRL."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.dataset.exports.base import Export, ExportConfig
from prefdata.records.base import polars_schema
from prefdata.records.preference import Preference


class TrlConfig(ExportConfig):
    kind: Literal["trl"] = "trl"


class Trl(Export):
    """Conversational preferences with an explicit prompt, as TRL's trainers read them.

    `prompt`, `chosen` and `rejected` are all `list[{role, content}]`, the completions without the
    prompt; the other columns describe the pair. None is called `messages` or `completion`, from
    which TRL would infer another format.
    """

    config: TrlConfig
    record = Preference

    def format_rows(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return pairs.with_columns(
            prompt=_take_turns("messages"),
            chosen=_wrap_turn("chosen"),
            rejected=_wrap_turn("rejected"),
        ).select(polars_schema(Preference).names())


def _take_turns(column: str) -> pl.Expr:
    """The conversations' roles and contents alone."""
    turn = pl.element().struct
    return pl.col(column).list.eval(pl.struct(turn.field("role"), turn.field("content")))


def _wrap_turn(column: str) -> pl.Expr:
    """The text as a list of one assistant turn."""
    role = pl.lit("assistant").alias("role")
    return pl.concat_list(pl.struct(role, pl.col(column).alias("content")))
