"""The rows of a preference dataset, matched with the tables of a flow over it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl

from prefdata.config.presets import MAX_PROMPT_CHARS
from prefdata.errors import ConfigError, SourceError, StorageError
from prefdata.files.rows import Row
from prefdata.files.storage import join
from prefdata.messages.columns import CALLS
from prefdata.records import Ches, FilteredPair, Pair
from prefdata.records.annotation import AnnotationKind
from prefdata.reports.ches.figures import KIND
from prefdata.sources.dataset_source import DatasetSource
from prefdata.sources.datasets import Dataset
from prefdata.sources.rows.pairs import NO_PAIR, RowPair, list_pairs, read_records
from prefdata.sources.rows.preference_forms.scores import read_margin
from prefdata.tables import read_table
from prefdata.tables.catalog import Catalog
from prefdata.text.transcript import describe_response

_IDS = ["prompt_id", "chosen_id", "rejected_id"]
_PAIRS: dict[str, Any] = {
    "row": pl.Int64,
    "origin": pl.String,
    **dict.fromkeys(_IDS, pl.String),
    **dict.fromkeys(("prompt", "chosen", "rejected"), pl.String),
    "margin": pl.Float64,
    **dict.fromkeys(("chosen_calls", "rejected_calls"), CALLS),
}
_REASONS: dict[str, Any] = {
    "row": pl.Int64,
    "reason": pl.String,
    "detail": pl.String,
    "fault": pl.Boolean,
}
_MAX_KINDS = 12
"""A column with more distinct values than this is not taken for a kind of pair."""


@dataclass(frozen=True)
class DatasetRows:
    """The rows of a dataset.

    Attributes:
        dataset: The dataset.
        form: The form of the rows.
        count: The number of rows.
        pairs: One row per pair of each row: the row's position from 0 (`row`), its origin in the
            tables, the ids of prompt and responses, the texts, the dataset's own margin, and the
            dataset's columns of few values, under names that start with `KIND`.
        reasons: The other rows: row, reason, detail, fault.
    """

    dataset: Dataset
    form: str
    count: int
    pairs: pl.DataFrame
    reasons: pl.DataFrame


def read_dataset(
    source: DatasetSource, annotations: AnnotationKind = "ranking", copied_to: str | None = None
) -> DatasetRows:
    """Read all rows of the dataset.

    Args:
        source: The dataset's source.
        annotations: The kind of annotations that makes pairs.
        copied_to: The folder to which the filtered copy will be written under the same name.

    Raises:
        SourceError: It can't be read, or none of its rows is a pair.
        StorageError: The copy would replace it.
        ConfigError: A copy is wanted of rows that hold several pairs each.
    """
    dataset, path = source.dataset, source.config.path
    if copied_to and os.path.abspath(join(copied_to, dataset.file)) == os.path.abspath(path):
        raise StorageError(
            f"{copied_to}: the filtered copy would replace {path}",
            "Name another folder with --out.",
        )
    pairs: list[tuple[Any, ...]] = []
    reasons: list[tuple[int, str, str, bool]] = []
    columns: dict[str, list[Any]] = {}
    count = 0
    for position, row in enumerate(islice(dataset.rows(), source.config.limit)):
        count += 1
        found, reason = _read_pairs(source, row, annotations)
        if not found:
            reasons.append((position, *reason))
            continue
        if copied_to and len(found) > 1:
            raise ConfigError(
                f"{source.name}: row {row.number} holds {len(found)} pairs, and a filtered copy "
                "can't leave out one of them",
                "Leave the limit out, or filter the pairs of a flow: see `prefdata import`.",
            )
        if not pairs:
            unread = {"source", *source.list_unread(row.value)}
            columns = {name: [] for name in row.value if name in unread}
        for name, values in columns.items():
            values += [row.value.get(name)] * len(found)
        margin = read_margin(row.value)
        origin = f"{source.name}:{row.number}"
        pairs += [
            (
                position,
                origin,
                *pair.ids,
                pair.row.turns[-1].content,
                pair.chosen["text"],
                pair.rejected["text"],
                margin,
                pair.chosen["tool_calls"],
                pair.rejected["tool_calls"],
            )
            for pair in found
        ]
    if not pairs:
        first = f"; the first: {reasons[0][1]}, {reasons[0][2]}" if reasons else ""
        raise SourceError(f"{source.name}: holds no pair in {count} rows{first}")
    kinds = {f"{KIND}{name}": values for name, values in columns.items() if _tells_kinds(values)}
    return DatasetRows(
        dataset,
        source.form_name,
        count,
        pl.DataFrame(pairs, schema=_PAIRS, orient="row")
        .with_columns(pl.Series(name, values, dtype=pl.String) for name, values in kinds.items())
        .with_columns(
            describe_response(pl.col(side), pl.col(f"{side}_calls")).alias(side)
            for side in ("chosen", "rejected")
        )
        .drop("chosen_calls", "rejected_calls"),
        pl.DataFrame(reasons, schema=_REASONS, orient="row"),
    )


def _read_pairs(
    source: DatasetSource, row: Row, annotations: AnnotationKind
) -> tuple[list[RowPair], tuple[str, str, bool]]:
    """The pairs of a row; and the reason, its detail and whether the row is at fault, where there
    are none."""
    pairs: dict[tuple[str, ...], RowPair] = {}
    reason = (NO_PAIR.reason, NO_PAIR.problem, False)
    for record in read_records(source, row, MAX_PROMPT_CHARS):
        if record.row is None:
            assert record.reason is not None
            reason = (record.reason.reason, record.reason.problem, record.is_fault)
            continue
        pairs |= {pair.ids: pair for pair in list_pairs(record.row, annotations)}
    return list(pairs.values()), reason


def _tells_kinds(values: list[Any]) -> bool:
    return all(isinstance(v, str | None) for v in values) and 1 < len(set(values)) <= _MAX_KINDS


def join_pairs(pairs: pl.DataFrame, catalog: Catalog, filtered: bool) -> pl.DataFrame:
    """The rows whose pair was measured, in order, with the columns of `Ches` and, if the flow
    filtered, `keep`."""
    made = read_table(catalog.table("pairs", Pair)).select(_IDS)
    measured = read_table(catalog.table("ches", Ches)).join(made, on=_IDS)
    joined = pairs.join(measured, on=_IDS, maintain_order="left")
    if not filtered:
        return joined
    kept = read_table(catalog.table("filtered", FilteredPair)).select(*_IDS, keep=pl.lit(True))
    return joined.join(kept, on=_IDS, how="left", maintain_order="left").with_columns(
        pl.col("keep").fill_null(False)
    )


def find_reasons(rows: DatasetRows, measured: pl.DataFrame, catalog: Catalog) -> pl.DataFrame:
    """Why the other rows were not measured: row, reason, detail, fault; sorted by row.

    A row that is a pair may have been dropped because it contradicts another row of its prompt, or
    because measuring its responses failed.
    """
    others = rows.pairs.join(measured.select("row"), on="row", how="anti")
    ingest, ches = (
        read_table(catalog.dropped(stage)).select(
            *(pl.col("record").str.json_path_match(f"$.{key}").alias(key) for key in keys),
            "reason",
            "detail",
            "fault",
        )
        for stage, keys in (("ingest", ["origin"]), ("ches", _IDS))
    )
    explained = others.join(ingest.unique("origin"), on="origin", how="left").join(
        ches.unique(_IDS), on=_IDS, how="left", suffix="_ches"
    )
    named = [
        pl.coalesce(name, f"{name}_ches").alias(name) for name in ("reason", "detail", "fault")
    ]
    unmeasured = explained.select("row", *named).with_columns(
        pl.col("reason").fill_null("no_pair"),
        pl.col("detail").fill_null("the flow made no pair of it"),
        pl.col("fault").fill_null(False),
    )
    return pl.concat([rows.reasons, unmeasured]).sort("row")
