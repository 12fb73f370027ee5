"""Prompts that come again: several times, in nearly the same words, or in two splits."""

from __future__ import annotations

import polars as pl

from prefdata.checks.base import CheckedDataset, Found
from prefdata.text.similar_texts import find_similar


def check_prompts(dataset: CheckedDataset, found: Found, min_similarity: float) -> None:
    """Prompts of several rows, of nearly the same words, and of several splits.

    Args:
        dataset: The dataset.
        found: Receives the findings.
        min_similarity: The least similarity of near-duplicates, as in the filter near_duplicates.
    """
    pairs = dataset.pairs
    first = pairs.unique("prompt_id", keep="first", maintain_order=True)
    _check_repeats(pairs, first.height, found)
    splits = [name for name in pairs["split"].unique(maintain_order=True) if name is not None]
    if len(splits) > 1:
        _check_splits(pairs, first.height, found)
    edges, similarity = find_similar(first["prompt"], min_similarity)
    similar = pl.DataFrame(
        {"one": edges[:, 0], "other": edges[:, 1], "similarity": similarity},
        schema={"one": pl.Int64, "other": pl.Int64, "similarity": pl.Float64},
    )
    _check_similar(first, similar, found)
    if len(splits) > 1:
        _check_leaks(first, similar, found)


def _check_repeats(pairs: pl.DataFrame, prompts: int, found: Found) -> None:
    again = pairs.group_by("prompt_id", maintain_order=True).agg(
        pl.col("place").first(), pl.len().alias("rows")
    )
    rows = again.filter(pl.col("rows") > 1).with_columns(detail=pl.format("{} rows", "rows"))
    found.add_rows(
        "repeated_prompt",
        "note",
        rows,
        prompts,
        "a prompt has several pairs",
        "Right where several responses were compared; keep all pairs of a prompt in one split.",
    )


def _check_splits(pairs: pl.DataFrame, prompts: int, found: Found) -> None:
    both = pairs.group_by("prompt_id", maintain_order=True).agg(
        places=pl.col("place").filter(pl.col("split").is_first_distinct()),
    )
    rows = both.filter(pl.col("places").list.len() > 1).select(
        place=pl.col("places").list.first(),
        detail=pl.format("and in {}", pl.col("places").list.slice(1).list.join("; ")),
    )
    found.add_rows(
        "leak",
        "error",
        rows,
        prompts,
        "the same prompt stands in two splits",
        "Leave it in one: what is measured on the other is no test.",
    )


def _check_similar(first: pl.DataFrame, similar: pl.DataFrame, found: Found) -> None:
    """Prompts that are like an earlier one."""
    rows = (
        similar.sort("other", "one")
        .unique("other", keep="first", maintain_order=True)
        .with_columns(place=_gather(first["place"], "other"), like=_gather(first["place"], "one"))
        .with_columns(detail=pl.format("like {} ({})", "like", pl.col("similarity").round(2)))
    )
    found.add_rows(
        "near_duplicate",
        "note",
        rows,
        first.height,
        "a prompt has nearly the words of an earlier one",
        "Keep one of each group: filter near_duplicates.",
    )


def _check_leaks(first: pl.DataFrame, similar: pl.DataFrame, found: Found) -> None:
    """Prompts that are like one of another split."""
    split = first["split"].rank("dense")
    apart = similar.filter(
        pl.Series(split.gather(similar["one"]) != split.gather(similar["other"]), dtype=pl.Boolean)
    )
    rows = (
        apart.sort("similarity", "one", "other", descending=[True, False, False])
        .unique("other", keep="first", maintain_order=True)
        .sort("other")
        .with_columns(place=_gather(first["place"], "other"), like=_gather(first["place"], "one"))
        .with_columns(detail=pl.format("like {} ({})", "like", pl.col("similarity").round(2)))
    )
    found.add_rows(
        "near_leak",
        "warning",
        rows,
        first.height,
        "a prompt has nearly the words of one in another split",
        "Leave it in one split: filter near_duplicates before the splits are made.",
    )


def _gather(values: pl.Series, column: str) -> pl.Expr:
    return pl.col(column).map_batches(lambda at: values.gather(at), return_dtype=values.dtype)
