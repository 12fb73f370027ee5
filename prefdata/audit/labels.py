"""Labels that judges are compared with: a judge of the run, or a file."""

from __future__ import annotations

import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import compute_verdict
from prefdata.errors import SourceError
from prefdata.files import storage
from prefdata.files.rows import guess_format, read_values
from prefdata.tables import Table
from prefdata.tables.read import read_table

_COLUMNS = [*COMPARISON, "preference"]


def read_labels(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Labels in the columns prompt_id, response_a, response_b, preference and verdict.

    Args:
        name: A judge of `rows`, or a .parquet, .csv or .jsonl file of prompt_id, response_a,
            response_b and preference, P(a ≻ b) in [0, 1]. The two responses may be in either order;
            several labels of a comparison are averaged.
        rows: All judges' comparisons.

    Raises:
        SourceError: There is no such judge or file, or it holds no labels.
    """
    if name in rows["judge"].unique().to_list():
        judged = rows.filter(pl.col("judge") == name).drop_nulls("preference")
        return _average(judged.select(_COLUMNS))
    labels = _read_file(name, ", ".join(rows["judge"].unique().sort().to_list()))
    wrong = labels.filter(~pl.col("preference").is_between(0, 1).fill_null(True))
    if wrong.height:
        raise SourceError(
            f"--labels {name}: {wrong.height} preferences lie outside 0 to 1, such as "
            f"{wrong['preference'][0]}",
            "preference is the probability that response_a is better.",
        )
    p, is_swapped = pl.col("preference"), pl.col("response_a") > pl.col("response_b")
    return _average(
        labels.drop_nulls().select(
            "prompt_id",
            response_a=pl.min_horizontal("response_a", "response_b"),
            response_b=pl.max_horizontal("response_a", "response_b"),
            preference=pl.when(is_swapped).then(1 - p).otherwise(p),
        )
    )


def average_others(rows: pl.DataFrame, judge: str) -> pl.DataFrame:
    """What all other judges say on average, in the columns that `read_labels` returns.

    Args:
        rows: All judges' comparisons.
        judge: The judge that is left out.
    """
    others = rows.filter(pl.col("judge") != judge).drop_nulls("preference")
    return _average(others.select(_COLUMNS))


def read_consensus(labels: Table) -> pl.DataFrame:
    """The labels of a run's consensus, in the columns that `read_labels` returns."""
    rows = read_table(labels).select(_COLUMNS)
    return rows.with_columns(verdict=compute_verdict(pl.col("preference")))


def _read_file(path: str, judges: str) -> pl.DataFrame:
    if guess_format(path) is None or storage.read_bytes(path) is None:
        raise SourceError(
            f"--labels {path}: neither a judge of this run ({judges}) nor a .parquet, .csv or "
            ".jsonl file that is there",
            "Name one of them.",
        )
    try:
        rows = pl.DataFrame(list(read_values(path)), infer_schema_length=None)
        return rows.select(*COMPARISON, pl.col("preference").cast(pl.Float64, strict=True))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(
            f"--labels {path}: {error}", f"Give the columns {', '.join(_COLUMNS)}."
        ) from error


def _average(rows: pl.DataFrame) -> pl.DataFrame:
    """The mean label of each comparison."""
    mean = rows.group_by(COMPARISON).agg(pl.col("preference").sort().mean()).sort(COMPARISON)
    return mean.with_columns(verdict=compute_verdict(pl.col("preference")))
