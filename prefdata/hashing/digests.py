"""Digests of rows: the same content has the same digest, however the frame came to be.

Different rows have different encodings: a text as its SHA-256, a number as its digits
(a float as its bits), a list as its length and its items, a struct as its fields, a null as a mark
of its own. It all runs as one polars expression, outside the interpreter's lock, because
a judge's prompts are far larger than all tables together.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from polars.datatypes import DataTypeClass
from polars_hash import CryptographicHashingNameSpace


def row_digests(rows: pl.DataFrame, columns: Sequence[str], *context: str) -> pl.Series:
    """SHA-256 of the named columns of each row, as 64 hex characters.

    Args:
        rows: The rows.
        columns: The columns that are hashed, in this order.
        context: Texts that all rows share; hashed first.
    """
    schema = rows.schema
    parts = [_sha256(pl.lit(part)) for part in context]
    parts += [_encode(pl.col(name), schema[name]) for name in columns]
    return rows.select(digest=_sha256(pl.concat_str(parts))).to_series()


def _encode(column: pl.Expr, kind: DataTypeClass | pl.DataType) -> pl.Expr:
    """The column's encoding, one text per row; no encoding is a prefix of another."""
    if isinstance(kind, pl.List):
        items = column.list.eval(_encode(pl.element(), kind.inner)).list.join("")
        encoded = pl.concat_str([_number(column.list.len()), items])
    elif isinstance(kind, pl.Struct):
        fields = [_encode(column.struct.field(f.name), f.dtype) for f in kind.fields]
        # The mark keeps a null struct apart from one whose fields are all null.
        encoded = pl.when(column.is_not_null()).then(pl.concat_str([pl.lit("("), *fields]))
    elif kind in (pl.String, pl.Binary):
        encoded = _sha256(column)
    elif kind.is_float():
        encoded = _number(column.cast(pl.Float64).reinterpret(dtype=pl.UInt64))
    else:
        encoded = _number(column)
    return encoded.fill_null("~")


def _sha256(text: pl.Expr) -> pl.Expr:
    return CryptographicHashingNameSpace(text).sha2_256()


def _number(column: pl.Expr) -> pl.Expr:
    return pl.concat_str([column.cast(pl.String), pl.lit(";")])
