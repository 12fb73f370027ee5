"""The pairs of a run or a version, as far as a page's figures need them: a row each, no texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from prefdata.records import Ches, Prompt, Response
from prefdata.records.base import fill_absent
from prefdata.tables import Table, TableInfo, read_bucket, read_info
from prefdata.tables.catalog import TABLES, Catalog
from prefdata.tables.read import is_finished

PAIRS = pl.Schema(
    {
        "pair_id": pl.String(),
        "prompt_id": pl.String(),
        "source": pl.String(),
        "split": pl.String(),
        "strategy": pl.String(),
        "flag": pl.String(),
        "chosen_policy": pl.String(),
        "rejected_policy": pl.String(),
        "soft_label": pl.Float64(),
        "agreement": pl.Float64(),
        "reward_chosen": pl.Float64(),
        "reward_rejected": pl.Float64(),
        "margin": pl.Float64(),
        "ches": pl.Float64(),
        "ches_normalized": pl.Float64(),
        "judges": pl.List(pl.String()),
        "chosen_length": pl.Int64(),
        "rejected_length": pl.Int64(),
        "kept": pl.Boolean(),
    }
)
"""A pair: lengths are in characters; `judges` are those that judged it; `kept` says whether it
passed every filter."""

_MADE = ("augmented", "pairs")
"""The tables of pairs before the filters: the first that there is."""
_IDS = ["prompt_id", "chosen_id", "rejected_id"]
_MEASURED = ["ches", "ches_normalized"]


def no_pairs() -> pl.DataFrame:
    """No rows of PAIRS."""
    return pl.DataFrame(schema=PAIRS)


def shape_pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with exactly the columns of PAIRS: missing ones become null."""
    return fill_absent(rows, PAIRS).select(pl.col(name).cast(kind) for name, kind in PAIRS.items())


def read_pairs(
    data: str, advance: Callable[[int, int], None] = lambda done, total: None
) -> pl.DataFrame:
    """All pairs that a run made, sorted by prompt: rows of PAIRS; none where it made none.

    Args:
        data: The run's data folder.
        advance: Told how many buckets of how many were read.
    """
    catalog = Catalog(data)
    tables = {name: catalog.table(name, TABLES[name]) for name in (*_MADE, "filtered")}
    there = [name for name, table in tables.items() if is_finished(table)]
    if not there:
        return no_pairs()
    table = tables[there[0]]
    buckets, frames = read_info(table).buckets, []
    for bucket in range(buckets):
        frames.append(_read(catalog, table, bucket))
        advance(bucket + 1, buckets)
    pairs = pl.concat([no_pairs(), *frames])
    if "filtered" not in there:
        return pairs.with_columns(kept=pl.lit(True))
    kept = _read_kept(tables["filtered"])
    joined = pairs.drop("kept").join(
        kept, on="pair_id", how="left", suffix="_filtered", maintain_order="left"
    )
    return joined.with_columns(
        pl.col("kept").fill_null(False),
        *(pl.coalesce(f"{name}_filtered", name).alias(name) for name in _MEASURED),
    ).select(PAIRS.names())


def _read_kept(table: Table) -> pl.DataFrame:
    info = read_info(table)
    columns = ["pair_id", *_MEASURED]
    frames = [read_bucket(table, bucket, info, columns) for bucket in range(info.buckets)]
    return pl.concat(frames).with_columns(kept=pl.lit(True))


def _read(catalog: Catalog, table: Table, bucket: int) -> pl.DataFrame:
    """The pairs of a bucket, with what their prompts, responses and CHES say of them."""
    info = read_info(table)
    rows = read_bucket(table, bucket, info)
    if "judgments" in rows.columns:
        name = pl.element().struct.field("judge")
        judges = pl.col("judgments").list.eval(name).list.unique(maintain_order=True)
        rows = rows.with_columns(judges=judges).drop("judgments")
    for joined, keys in _read_beside(catalog, info, bucket):
        rows = rows.join(joined, on=keys, how="left", maintain_order="left")
    return shape_pairs(rows)


def _read_beside(
    catalog: Catalog, info: TableInfo, bucket: int
) -> Iterator[tuple[pl.DataFrame, list[str]]]:
    """(columns to join to the pairs, on these keys), of the tables that there are."""
    prompts = catalog.table("prompts", Prompt)
    if _is_like(prompts, info):
        columns = ["prompt_id", "source", "split"]
        yield read_bucket(prompts, bucket, read_info(prompts), columns), ["prompt_id"]
    responses = catalog.table("responses", Response)
    if _is_like(responses, info):
        columns = ["response_id", "text"]
        texts = read_bucket(responses, bucket, read_info(responses), columns)
        lengths = texts.select("response_id", length=pl.col("text").str.len_chars())
        for side in ("chosen", "rejected"):
            names = {"response_id": f"{side}_id", "length": f"{side}_length"}
            yield lengths.rename(names).unique(f"{side}_id"), [f"{side}_id"]
    measured = catalog.table("ches", Ches)
    if _is_like(measured, info):
        yield read_bucket(measured, bucket, read_info(measured), [*_IDS, *_MEASURED]), _IDS


def _is_like(table: Table, info: TableInfo) -> bool:
    """Whether the table is there, in as many buckets."""
    return is_finished(table) and read_info(table).buckets == info.buckets
