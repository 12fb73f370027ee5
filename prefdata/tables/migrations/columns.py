"""Columns of an earlier version: the record's without some, and back with nulls for them."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl


def remove_fields(schema: pl.Schema, paths: Iterable[str]) -> pl.Schema:
    """The schema without some columns, and without some fields of the structs in them.

    Args:
        schema: The columns.
        paths: Columns, such as `tools`, and fields, such as `messages.thoughts`.
    """
    removed = set(paths)
    return pl.Schema(
        {n: _remove(dtype, n, removed) for n, dtype in schema.items() if n not in removed}
    )


def _remove(dtype: pl.DataType, path: str, removed: set[str]) -> pl.DataType:
    if isinstance(dtype, pl.List):
        return pl.List(_remove(dtype.inner, path, removed))  # type: ignore[arg-type]
    if not isinstance(dtype, pl.Struct):
        return dtype
    within = ((field, f"{path}.{field.name}") for field in dtype.fields)
    return pl.Struct(
        {f.name: _remove(f.dtype, p, removed) for f, p in within if p not in removed}  # type: ignore[arg-type]
    )


def widen(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The rows with exactly these columns; columns and fields that they lack are null."""
    return rows.select(
        _widen(pl.col(n), rows.schema[n], dtype).alias(n)
        if n in rows.schema
        else pl.lit(None, dtype=dtype).alias(n)
        for n, dtype in schema.items()
    )


def _widen(value: pl.Expr, given: object, wanted: object) -> pl.Expr:
    if isinstance(given, pl.List) and isinstance(wanted, pl.List) and given != wanted:
        return value.list.eval(_widen(pl.element(), given.inner, wanted.inner))
    if not isinstance(given, pl.Struct) or not isinstance(wanted, pl.Struct) or given == wanted:
        return value
    there = {field.name: field.dtype for field in given.fields}
    return pl.struct(
        _widen(value.struct.field(f.name), there[f.name], f.dtype).alias(f.name)
        if f.name in there
        else pl.lit(None, dtype=f.dtype).alias(f.name)
        for f in wanted.fields
    )
