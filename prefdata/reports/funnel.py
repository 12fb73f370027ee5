"""The funnel: rows in and out of every stage, what fell out and why, and where the files lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefdata.config.params import Params
from prefdata.dataset.manifest import read_manifest
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.pipelines import layout
from prefdata.pipelines.stages import top_up
from prefdata.pipelines.stages.reward_head import describe
from prefdata.reports.costs import figures, said, stage_usage, table, totals
from prefdata.reports.filters import last_steps
from prefdata.reports.text_table import columns
from prefdata.reward_head.head import FILE, RewardHead
from prefdata.tables.layout import TableInfo
from prefdata.tables.read import read_info

_BEFORE = ("reward-head",)
"""Stages that ask models but write no table."""
_HEAD = ("stage", "unit", "in", "out", "dropped", "why")


def infos(params: Params) -> dict[str, TableInfo]:
    """What each stage's table says of itself, as far as stages have run."""
    tables = layout.counting(params)
    return {s: read_info(t) for s, t in tables.items() if storage.read_bytes(t.info_path)}


def summary(params: Params, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The funnel as data, for `--json`."""
    stages = {
        stage: {
            "unit": info.unit,
            "in": info.rows_in,
            "out": info.rows_out,
            "dropped": info.dropped,
            "faults": info.faults,
            "models": figures(params, stage),
        }
        for stage, info in infos(params).items()
    }
    if "filter" in stages:
        stages["filter"]["filters"] = last_steps(params)
    costs = [c.model_dump() for c in totals(params, (*_BEFORE, *stages))]
    head = {stage: figures(params, stage) for stage in _BEFORE}
    reached = top_up.found(params)
    return {
        "data": params.data,
        "stages": stages,
        **{stage: {"models": models} for stage, models in head.items() if models},
        "seconds": dict(seconds),
        "cost": costs,
        "wanted": None if reached is None else reached.figures(),
        **_dataset(params),
    }


def funnel(params: Params, seconds: Mapping[str, float]) -> str:
    """The funnel as a table, for people."""
    found = infos(params)
    rows: list[tuple[str, ...]] = []
    for stage, info in found.items():
        dropped = sum(info.dropped.values())
        why = ", ".join(f"{reason} {count}" for reason, count in info.dropped.items())
        counts = (f"{info.rows_in:,}", f"{info.rows_out:,}", f"{dropped:,}")
        rows.append((stage, info.unit, *counts, why))
    lines = [columns([_HEAD, *rows], right=range(2, 5)), ""]
    stages = [stage for stage in (*_BEFORE, *found) if stage_usage(params, stage)]
    if stages:
        calls = table(params, stages)
        lines += [columns(calls, right=range(2, len(calls[0]))), ""]
    notes = []
    costs = totals(params, stages)
    if costs:
        notes.append(f"cost: {said(costs)}")
    head = _head(params)
    if head is not None:
        notes.append(describe(head))
    reached = top_up.found(params)
    if reached is not None:
        notes.append(reached.line())
    dataset = _dataset(params)
    if dataset:
        splits = ", ".join(f"{s} {n}" for s, n in dataset["splits"].items())
        notes.append(f"dataset: {dataset['dataset']} ({splits}), version {dataset['version'][:12]}")
    tables = [name for name in layout.outputs(params).values() if name in layout.RECORD_OF]
    notes.append(f"tables: {params.data}/{{{','.join(tables)},dropped}}")
    if seconds:
        notes.append(f"seconds: {', '.join(f'{s} {t:g}' for s, t in seconds.items())}")
    return "\n".join([*lines, *notes])


def _dataset(params: Params) -> dict[str, Any]:
    folder = layout.dataset_folder(params)
    try:
        manifest = read_manifest(folder)
    except TableError:
        return {}
    return {"dataset": folder, "version": manifest.content_version, "splits": manifest.splits}


def _head(params: Params) -> RewardHead | None:
    if params.reward_head is None:
        return None
    content = storage.read_bytes(storage.join(params.reward_head.out, FILE))
    return None if content is None else RewardHead.model_validate_json(content)
