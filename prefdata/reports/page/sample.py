"""Which rows a page holds: as many as fit it, and some of every kind."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import orjson
import polars as pl

from prefdata.lineage.tables import read_lineage
from prefdata.records import Judgment
from prefdata.records.dropped import no_dropped
from prefdata.reports.page.content import Rows
from prefdata.reports.page.rows import Row, RunRows
from prefdata.tables import read_bucket, read_info
from prefdata.tables.catalog import DROPPING, Catalog
from prefdata.tables.read import is_finished

MAX_PAIRS, MAX_DROPPED = 1_500, 700
EACH = 5
"""The fewest rows of every source, strategy, policy and judge, where there are as many."""
MAX_BYTES = 9_000_000
"""Of the rows, as JSON; what is over is left out, the last first."""
_GROUPS = ("source", "strategy", "flag", "chosen_policy", "judge")


def sample_run(data: str, pairs: pl.DataFrame) -> Rows:
    """The rows of a run: pairs that passed every filter, and dropped records.

    Args:
        data: The run's data folder.
        pairs: All pairs, rows of PAIRS.
    """
    kept = pairs.filter("kept")
    chosen = sample_pairs(kept)
    dropped, count = _sample_dropped(Catalog(data))
    judged = pl.Series(sorted(_find_rare_prompts(Catalog(data), chosen)), dtype=pl.String)
    ids = pl.concat([chosen["prompt_id"], dropped["origin"], judged])
    lineage = read_lineage(data, ids.filter(ids.str.contains("^[0-9a-f]{32}$")).unique().to_list())
    more = lineage.dropped.filter(pl.col("origin").is_in(judged.implode()))
    told = RunRows(lineage)
    rows = [
        *map(told.make_dropped, pl.concat([dropped, more]).unique(maintain_order=True).to_dicts()),
        *map(told.make_pair, chosen["pair_id"]),
    ]
    return describe(rows, kept.height, count)


def describe(rows: Collection[Row], pairs: int, dropped: int) -> Rows:
    """The rows that fit the page, pairs first, with how many of how many they are.

    Args:
        rows: The rows; the first are the last to be left out.
        pairs: The number of pairs that there are.
        dropped: The number of dropped records that there are.
    """
    fitting = sorted(_take_fitting(rows), key=lambda row: row["dropped"])
    lost = sum(row["dropped"] for row in fitting)
    here = [
        f"{n:,} of {total:,} {what}" if n < total else f"all {total:,} {what}"
        for n, total, what in (
            (len(fitting) - lost, pairs, "pairs of the dataset"),
            (lost, dropped, "dropped records"),
        )
        if total
    ]
    note = f"In this page: {' and '.join(here)}." if here else "There are no rows."
    if len(fitting) < pairs + dropped:
        note += (
            " A sample, the same every time: the first by their ids, which are random, and some of "
            "every reason, source, strategy, policy and judge."
        )
    return Rows(fitting, note)


def sample_pairs(kept: pl.DataFrame) -> pl.DataFrame:
    """pair_id and prompt_id of the first MAX_PAIRS pairs by prompt, and of EACH of every group; the
    rare ones first."""
    ordered = kept.sort("prompt_id", "pair_id").with_row_index("place")
    judged = ordered.select("place", judge="judges").explode("judge", empty_as_null=True)
    columns = [judged, *(ordered.select("place", n) for n in _GROUPS if n in ordered.columns)]
    rare = [
        rows.drop_nulls().group_by(rows.columns[1], maintain_order=True).head(EACH)["place"]
        for rows in columns
    ]
    first = pl.concat(rare).unique().sort()
    rest = ordered["place"].head(MAX_PAIRS)
    places = pl.concat([first, rest.filter(~rest.is_in(first.implode()))])
    return ordered[places.to_list()].select("pair_id", "prompt_id")


def _take_fitting(rows: Collection[Row]) -> Iterator[Row]:
    left = MAX_BYTES
    for row in rows:
        left -= len(orjson.dumps(row))
        if left < 0:
            return
        yield row


def _sample_dropped(catalog: Catalog) -> tuple[pl.DataFrame, int]:
    """(some `Dropped` rows of every stage and reason, how many there are in all)."""
    tables = [catalog.dropped(stage) for stage in DROPPING]
    infos = [(table, read_info(table)) for table in tables if is_finished(table)]
    reasons = sum(len(info.dropped) for _, info in infos)
    share = max(MAX_DROPPED // max(reasons, 1), EACH)
    found = []
    for table, info in infos:
        rows = no_dropped()
        for bucket in range(info.buckets):
            more = pl.concat([rows, read_bucket(table, bucket, info)])
            rows = more.group_by("reason", maintain_order=True).head(share).select(more.columns)
            counts = dict(rows["reason"].value_counts().iter_rows())
            if all(counts.get(name, 0) >= min(n, share) for name, n in info.dropped.items()):
                break
        found.append(rows)
    total = sum(info.rows for _, info in infos)
    return pl.concat([no_dropped(), *found]), total


def _find_rare_prompts(catalog: Catalog, pairs: pl.DataFrame) -> set[str]:
    """Some prompts of the judges who judged none of the pairs."""
    table = catalog.table("judgments", Judgment)
    if not is_finished(table):
        return set()
    info = read_info(table)
    found = pl.DataFrame(schema={"judge": pl.String, "prompt_id": pl.String})
    for bucket in range(info.buckets):
        rows = read_bucket(table, bucket, info, ["judge", "prompt_id"]).unique(maintain_order=True)
        found = pl.concat([found, rows]).group_by("judge", maintain_order=True).head(1)
    return set(found.filter(~pl.col("prompt_id").is_in(pairs["prompt_id"].implode()))["prompt_id"])
