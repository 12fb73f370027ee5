"""A handful of pairs or of dropped records, drawn by their ids: the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from prefdata.dataset.difference.rows import holds_pairs
from prefdata.dataset.manifest import Manifest
from prefdata.dataset.verification.rows import find_record, read_rows
from prefdata.errors import ConfigError, TableError
from prefdata.files import storage
from prefdata.hashing.digests import digest_text
from prefdata.lineage.tables import list_buckets
from prefdata.records import Prompt
from prefdata.statistics.odds import log_odds
from prefdata.tables import read_bucket, read_info
from prefdata.tables.catalog import DROPPING, Catalog
from prefdata.tables.read import is_finished

_PLACE = "place"
_PROMPT_ID = r"^[0-9a-f]{32}$"
_READ = ("pair_id", "prompt_id", "source", "soft_label", "reward_margin", "judgments")


@dataclass(frozen=True)
class Wanted:
    """What is drawn from; None: anything.

    Attributes:
        source: The prompt's source.
        split: Its split.
        judge: Of pairs, a judge that judged them, by whose own margin they then go; of dropped
            records, one that their detail names.
        reason: Of dropped records, their reason.
        min_margin: Of pairs, the least margin.
        max_margin: Of pairs, the largest margin.
    """

    source: str | None = None
    split: str | None = None
    judge: str | None = None
    reason: str | None = None
    min_margin: float | None = None
    max_margin: float | None = None


def find_pairs_export(manifest: Manifest) -> str:
    """The first export whose rows are pairs. Raises ConfigError where there is none."""
    for name, entry in manifest.exports.items():
        if holds_pairs(entry):
            return name
    raise ConfigError(
        f"no form of the version has pairs with their ids: {', '.join(manifest.exports)}",
        "Export it with one that has, such as trl, in export.formats.",
    )


def draw_pairs(
    folder: str, manifest: Manifest, wanted: Wanted, count: int, seed: int
) -> pl.DataFrame:
    """Draw pairs of a version.

    Returns:
        pair_id, prompt_id, split and margin: that of the judge if one is wanted, else the pair's;
        in rewards, or in log-odds where there are none.

    Raises:
        ConfigError: The version has no form with pairs.
        TableError: A file is damaged.
    """
    entry = manifest.exports[find_pairs_export(manifest)]
    record, drawn = find_record(entry), [pl.DataFrame(schema=_DRAWN)]
    for file in entry.files:
        if file.split is None or wanted.split not in (None, file.split):
            continue
        content = read_rows(folder, file, record, _READ)
        if content.problem:
            raise TableError(
                f"{storage.join(folder, file.path)}: {content.problem}",
                "`prefdata verify` names all damage.",
            )
        for rows in content.pieces:
            kept = _choose_pairs(rows.with_columns(split=pl.lit(file.split)), wanted, seed)
            drawn.append(kept.select(*_DRAWN).bottom_k(count, by=_PLACE))
    return pl.concat(drawn).sort(_PLACE, "pair_id").head(count).drop(_PLACE)


_DRAWN = {
    "pair_id": pl.String(),
    "prompt_id": pl.String(),
    "split": pl.String(),
    "margin": pl.Float64(),
    _PLACE: pl.Int64(),
}


def _choose_pairs(rows: pl.DataFrame, wanted: Wanted, seed: int) -> pl.DataFrame:
    if wanted.source is not None and "source" in rows.columns:
        rows = rows.filter(source=wanted.source)
    if wanted.judge is not None:
        if "judgments" not in rows.columns:
            return pl.DataFrame(schema=_DRAWN)
        said = rows.explode("judgments", empty_as_null=False).unnest("judgments", separator=".")
        rows = said.filter(pl.col("judgments.judge") == wanted.judge).with_columns(
            soft_label="judgments.preference",
            reward_margin=pl.col("judgments.reward_chosen") - pl.col("judgments.reward_rejected"),
        )
    there = [
        each
        for name, each in (
            ("reward_margin", pl.col("reward_margin")),
            ("soft_label", log_odds(pl.col("soft_label"))),
        )
        if name in rows.columns
    ]
    margin = pl.coalesce(*there) if there else pl.lit(None, pl.Float64)
    placed = rows.with_columns(margin=margin.cast(pl.Float64), **_draw_place("pair_id", seed))
    for limit, least in ((wanted.min_margin, True), (wanted.max_margin, False)):
        if limit is not None:
            margins = pl.col("margin")
            placed = placed.filter(margins >= limit if least else margins <= limit)
    return placed.unique("pair_id", keep="first", maintain_order=True)


def draw_dropped(data: str, wanted: Wanted, count: int, seed: int) -> pl.DataFrame:
    """Draw dropped records of a run: `Dropped` rows with `source` and `split`, null where they
    never became prompts. Raises TableError where a table is damaged."""
    schema = None
    drawn = []
    for rows in _read_dropped(data, wanted):
        placed = rows.with_columns(**_draw_place("record", seed, "stage", "reason", "origin"))
        drawn.append(placed.bottom_k(count, by=_PLACE))
        schema = placed.schema
    if schema is None:
        return pl.DataFrame()
    return pl.concat(drawn).sort(_PLACE, "record").head(count).drop(_PLACE)


def has_dropped(data: str) -> bool:
    """Whether there are tables of dropped records in the folder."""
    catalog = Catalog(data)
    return any(is_finished(catalog.dropped(stage)) for stage in DROPPING)


def list_reasons(data: str) -> list[str]:
    """The reasons for which the run's stages dropped records, sorted."""
    catalog = Catalog(data)
    tables = (catalog.dropped(stage) for stage in DROPPING)
    return sorted(
        {each for table in tables if is_finished(table) for each in read_info(table).dropped}
    )


def _read_dropped(data: str, wanted: Wanted) -> Iterator[pl.DataFrame]:
    """What is wanted, with `source` and `split`."""
    catalog = Catalog(data)
    prompts = catalog.table("prompts", Prompt)
    known = read_info(prompts)
    for stage in DROPPING:
        table = catalog.dropped(stage)
        info = read_info(table) if is_finished(table) else None
        if info is None:
            continue
        for bucket in range(info.buckets):
            if info.files and not info.files[bucket].rows:
                continue
            rows = read_bucket(table, bucket, info)
            if wanted.reason:
                rows = rows.filter(reason=wanted.reason)
            if wanted.judge:
                rows = rows.filter(pl.col("detail").str.contains(wanted.judge, literal=True))
            ids = rows.filter(pl.col("origin").str.contains(_PROMPT_ID))["origin"].unique()
            columns = ["prompt_id", "source", "split"]
            of = pl.concat(
                [
                    pl.DataFrame(schema=dict.fromkeys(columns, pl.String())),
                    *(
                        read_bucket(prompts, place, known, columns)
                        for place in list_buckets(ids, known.buckets)
                    ),
                ]
            )
            joined = rows.join(of, left_on="origin", right_on="prompt_id", how="left")
            for name in ("source", "split"):
                value = getattr(wanted, name)
                if value is not None:
                    joined = joined.filter(pl.col(name) == value)
            yield joined


def _draw_place(column: str, seed: int, *others: str) -> dict[str, pl.Expr]:
    """A number for each row, from its content and the seed: the rows with the least are drawn."""
    key = pl.concat_str(pl.lit(str(seed)), *others, column, separator="\0")
    return {_PLACE: digest_text(key).cast(pl.Int64)}
