"""What of a request's tokens its own columns do not tell, and so stands in its key besides."""

from __future__ import annotations

from functools import cached_property

import polars as pl
from polars.datatypes import DataTypeClass

from prefdata.engines.base import OPERATIONS, Operation
from prefdata.engines.chat import load_tokenizer
from prefdata.engines.config import LocalConfig
from prefdata.engines.control_tokens import read_control_tokens
from prefdata.engines.encoding import Encoder

AS_TEXT = "control tokens as text"


class RequestEncoding:
    """The encoding of requests to a model whose tokenizer is at hand.

    Once, every end of turn was the tokenizer's end of text, and a control token's text in a content
    became that token. The keys of requests whose tokens are the same today do not tell, so that
    they are not asked again.

    Args:
        name: The model's name in params.yaml.
        config: Its settings.
    """

    def __init__(self, name: str, config: LocalConfig) -> None:
        self._name, self._config = name, config

    def describe(self, operation: Operation, rows: pl.DataFrame) -> pl.Series:
        """What tells each row's tokens from those of the past; null where nothing does."""
        spec = OPERATIONS[operation]
        names = [name for name in (*spec.request, *spec.optional) if name in rows.columns]
        schema = rows.schema
        holding = [_holds(pl.col(name), schema[name], self._controls) for name in names]
        as_text = pl.when(pl.any_horizontal(holding)).then(pl.lit(AS_TEXT))
        end = pl.lit(None, dtype=pl.String)
        if "finished" in spec.request:
            plain, calls = pl.lit(True), pl.lit(False)
            if "thoughts" in names:
                plain &= pl.col("thoughts").is_null()
            if "tool_calls" in names:
                called = pl.col("tool_calls").list.len().fill_null(0) > 0
                plain, calls = plain & ~called, called
            ended = (plain & pl.col("finished")) | (calls & ~pl.col("finished"))
            if rows.select(ended.any()).item() and self._end is not None:
                end = pl.when(ended).then(pl.lit(f"ended by {self._end}"))
        both = pl.concat_str(as_text, end, separator=", ", ignore_nulls=True)
        return rows.select(encoding=pl.when(both != "").then(both)).to_series()

    @cached_property
    def _controls(self) -> list[str]:
        return list(read_control_tokens(self._config))

    @cached_property
    def _end(self) -> str | None:
        """The end of turn, where it is another than the tokenizer's end of text."""
        tokenizer = load_tokenizer(self._name, self._config)
        end = Encoder(tokenizer).find_end_of_turn(self._config.chat_template_kwargs)
        return None if end.ids == [tokenizer.eos_token_id] else str(tokenizer.decode(end.ids))


def _holds(column: pl.Expr, kind: DataTypeClass | pl.DataType, texts: list[str]) -> pl.Expr:
    """Whether the column, or anything in it, holds one of the texts."""
    found = pl.lit(False)
    if kind == pl.String and texts:
        found = column.str.contains_any(texts)
    elif isinstance(kind, pl.List):
        found = column.list.eval(_holds(pl.element(), kind.inner, texts)).list.any()
    elif isinstance(kind, pl.Struct):
        fields = [_holds(column.struct.field(f.name), f.dtype, texts) for f in kind.fields]
        found = pl.any_horizontal(fields)
    return found.fill_null(False)
