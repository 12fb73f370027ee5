"""The funnel of the filters: what each was given, kept and dropped, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefdata.config.params import Params
from prefdata.errors import TableError
from prefdata.pipelines.check import check_parts
from prefdata.pipelines.stages import filter
from prefdata.pipelines.stages.base import close_engines, options, read_stats
from prefdata.pipelines.stats import Stats, StepStats
from prefdata.reports.text_table import columns

_HEAD = ("filter", "in", "out", "dropped", "why", "figures")


def steps(params: Params, stats: Stats) -> dict[str, Any]:
    """The filters' counts as data, in the order of params.yaml."""
    return {
        label: {
            "in": step.rows_in,
            "out": step.rows_out,
            "dropped": step.dropped,
            "figures": step.figures,
        }
        for label, step in _steps(params, stats).items()
    }


def last_steps(params: Params) -> dict[str, Any]:
    """The same of the stage's last run; none where that had other filters, or is not known."""
    stats = _last(params)
    return {} if stats is None else steps(params, stats)


def dry_run(params: Params, arguments: Sequence[str], quiet: bool) -> tuple[dict[str, Any], str]:
    """Run the filters without writing; the funnel as data and as text."""
    options(arguments)
    check_parts(params, ["filter"])
    try:
        stats = filter.dry_run(params, arguments, quiet)
    finally:
        close_engines()
    note = "dry run: no table was written; `prefdata filter` does it"
    total = f"pairs: {stats.rows_in:,} in, {stats.rows_out:,} out"
    text = "\n".join([_text(params, stats), "", total, note])
    return {"dry_run": True, "filters": steps(params, stats)}, text


def last_funnel(params: Params) -> str:
    """The filters of the stage's last run as a table, for people; empty where there is none."""
    stats = _last(params)
    return "" if stats is None else _text(params, stats)


def _last(params: Params) -> Stats | None:
    try:
        stats = read_stats(params, "filter")
    except TableError:
        return None
    return stats if stats.steps and set(stats.steps) <= set(filter.labels(params)) else None


def _steps(params: Params, stats: Stats) -> dict[str, StepStats]:
    # A filter that no pair reached has counted nothing, and still stands in the funnel.
    return {label: stats.steps.get(label, StepStats()) for label in filter.labels(params)}


def _text(params: Params, stats: Stats) -> str:
    rows: list[tuple[str, ...]] = [_HEAD]
    for label, step in _steps(params, stats).items():
        why = ", ".join(f"{reason} {count}" for reason, count in step.dropped.items())
        figures = ", ".join(f"{name} {value:.4g}" for name, value in step.figures.items())
        dropped = sum(step.dropped.values())
        counts = (f"{step.rows_in:,}", f"{step.rows_out:,}", f"{dropped:,}")
        rows.append((label, *counts, why, figures))
    return columns(rows, right=range(1, 4))
