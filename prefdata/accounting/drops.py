"""Dropped records by stage, reason, source and split: what a version's manifest says of them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from prefdata.tables import Table, TableInfo, read_bucket, read_info
from prefdata.tables.read import is_finished

UNKNOWN = "unknown"
"""The split of a row that never became a prompt."""
OTHERS = "other sources"
MOST_SOURCES = 50
"""The sources that are named; the rows of all others are counted together."""
_COUNTED = ("stage", "export", "reason", "source", "split")
_THREADS = 4
"""Buckets that are read at once."""
_SCHEMA = {**dict.fromkeys(_COUNTED, pl.String()), "rows": pl.Int64()}


def count_drops(dropped: Mapping[str, Table], prompts: Table) -> pl.DataFrame:
    """Count dropped records.

    Args:
        dropped: The tables of dropped records, by stage; those that are not there are left out.
        prompts: The table of prompts, which has their sources and splits.

    Returns:
        stage, export (empty but for what an export could not hold), reason, source, split, rows;
        sorted. A record that never became a prompt has the source that it names itself, else its
        file. Values that were dropped while their rows stayed are not counted.
    """
    infos = {name: read_info(table) for name, table in dropped.items() if is_finished(table)}
    given = read_info(prompts)

    def count_bucket(bucket: int) -> pl.DataFrame:
        frames = [
            _read_dropped(dropped[name], bucket, name, info)
            for name, info in infos.items()
            if info.files is None or (bucket < info.buckets and info.files[bucket].rows)
        ]
        if not frames:
            return pl.DataFrame(schema=_SCHEMA)
        known = read_bucket(prompts, bucket, given, ["prompt_id", "source", "split"])
        return _count(pl.concat(frames), known)

    with ThreadPoolExecutor(_THREADS) as threads:
        counts = pl.concat(threads.map(count_bucket, range(given.buckets)))
    total = counts.group_by(_COUNTED).agg(pl.col("rows").sum())
    return _join_small_sources(total).sort(_COUNTED)


def _read_dropped(table: Table, bucket: int, stage: str, info: TableInfo) -> pl.DataFrame:
    """stage, export, reason, origin, named (the source that the record names)."""
    # By far the largest column, which most stages' counts don't need.
    is_read = stage in ("ingest", "export") or bool(info.dropped_values)
    record = ["record"] if is_read else []
    rows = read_bucket(table, bucket, info, ["reason", "origin", *record])
    if info.dropped_values:
        rows = rows.filter(_read_key("column").is_null())
    return rows.select(
        stage=pl.lit(stage),
        export=_read_key("export").fill_null("") if stage == "export" else pl.lit(""),
        reason="reason",
        origin="origin",
        named=_read_key("source") if stage == "ingest" else pl.lit(None, pl.String),
    )


def _read_key(key: str) -> pl.Expr:
    """A value of the record; null where it has none, or is no object."""
    return pl.col("record").str.json_path_match(f"$.{key}")


def _count(rows: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    file = pl.col("origin").str.replace(r":\d+$", "")
    joined = rows.join(prompts, left_on="origin", right_on="prompt_id", how="left")
    return (
        joined.with_columns(
            source=pl.coalesce("named", "source", file), split=pl.col("split").fill_null(UNKNOWN)
        )
        .group_by(_COUNTED)
        .agg(rows=pl.len().cast(pl.Int64))
    )


def _join_small_sources(counts: pl.DataFrame) -> pl.DataFrame:
    """The counts with the sources that are not among the largest as one."""
    sizes = counts.group_by("source").agg(pl.col("rows").sum())
    largest = sizes.sort(["rows", "source"], descending=[True, False]).head(MOST_SOURCES)
    named = pl.col("source").is_in(largest["source"].implode())
    source = pl.when(named).then("source").otherwise(pl.lit(OTHERS))
    return counts.with_columns(source=source).group_by(_COUNTED).agg(pl.col("rows").sum())


def tabulate_drops(counts: pl.DataFrame, by: str) -> dict[str, dict[str, int]]:
    """Of counts of one stage or export: the value of a column -> reason -> rows, sorted."""
    totals = counts.group_by(by, "reason").agg(pl.col("rows").sum()).sort(by, "reason")
    found: dict[str, dict[str, int]] = {}
    for value, reason, rows in totals.iter_rows():
        found.setdefault(value, {})[reason] = rows
    return found
