"""The memo's own commands: what it holds, merging its segments, dropping a model's entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prefdata.config.params import Params
from prefdata.errors import ConfigError, PrefdataError, TableError
from prefdata.files import storage
from prefdata.inference import compaction, inventory
from prefdata.pipelines import layout
from prefdata.pipelines.stages.base import engines, read_stats
from prefdata.reports.text_table import columns

_HELD = ("operation", "model", "fingerprint", "segments", "entries", "duplicates", "MiB")
_USED = ("stage", "operation and model", "requests", "from the memo", "hits")
_MERGED = ("operation", "model", "segments", "merged", "MiB", "merged", "duplicates dropped")


def stats(params: Params) -> tuple[dict[str, Any], str]:
    """(figures, table) of what the memo holds and what the last run of each stage found in it."""
    root, names = _root(params), model_names(params)
    found = [inventory.held(root, *where) for where in compaction.contents(root)]
    total = {
        name: sum(getattr(held, name) for held in found)
        for name in ("segments", "entries", "duplicates", "bytes", "unreadable")
    }
    used = _used(params)
    figures = {
        "memo": root,
        **total,
        "models": [{**asdict(held), "names": names.get(held.model, [])} for held in found],
        "last_runs": used,
    }
    rows = [(h.operation, _label(names, h.model), h.model, *_counts(asdict(h))) for h in found]
    lines = [columns([_HELD, *rows, ("all", "", "", *_counts(total))], right=range(3, 7))]
    if used:
        shown = [
            (u["stage"], u["asked"], f"{u['requests']:,}", f"{u['cached']:,}", f"{u['hits']:.1%}")
            for u in used
        ]
        lines += ["", "in the last runs:", columns([_USED, *shown], right=range(2, 5))]
    if total["unreadable"]:
        lines += ["", f"{total['unreadable']} segments can't be read and are left out by every run"]
    return figures, "\n".join([*lines, "", f"memo: {root}"])


def compact(params: Params) -> tuple[dict[str, Any], str]:
    """Merge all segments; (figures, table) of what that did."""
    root, names = _root(params), model_names(params)
    merges = compaction.compact(root, list(compaction.contents(root)))
    rows = [
        (
            m.operation,
            _label(names, m.model),
            f"{m.segments_before:,}",
            f"{m.segments_after:,}",
            _mib(m.bytes_before),
            _mib(m.bytes_after),
            f"{m.duplicates:,}",
        )
        for m in merges
    ]
    keys = ("segments_before", "segments_after", "bytes_before", "bytes_after", "duplicates")
    figures = {"memo": root, **{key: sum(getattr(m, key) for m in merges) for key in keys}}
    return figures, columns([_MERGED, *rows], right=range(2, 7)) + f"\n\nmemo: {root}"


def drop(params: Params, model: str) -> tuple[dict[str, Any], str]:
    """Remove all entries of a model, by its name in params.yaml or its fingerprint."""
    root, names = _root(params), model_names(params)
    held = list(compaction.contents(root))
    known = sorted({m for _, m in held})
    wanted = [m for m in known if m == model[:16] or model in names.get(m, [])]
    if not wanted:
        there = ", ".join(_label(names, m) or m for m in known) or "nothing"
        raise ConfigError(
            f"--model {model}: the memo {root} holds nothing of it; it holds: {there}",
            "Name a model of params.yaml, or a fingerprint that `prefdata memo stats` shows.",
        )
    removed = size = 0
    for operation, folder in held:
        if folder in wanted:
            path = storage.join(root, operation, folder)
            for file in storage.list_files(path):
                storage.remove(storage.join(path, file.name))
                removed, size = removed + 1, size + file.size
    figures = {"memo": root, "models": wanted, "segments": removed, "bytes": size}
    return figures, f"dropped {removed:,} segments of {model}, {_mib(size)} MiB\n\nmemo: {root}"


def model_names(params: Params) -> dict[str, list[str]]:
    """The names in params.yaml of each model, by the 16 characters that its folders are called."""
    found: dict[str, list[str]] = {}
    for name in params.models:
        try:
            fingerprint = engines(params)[name].fingerprint
        except PrefdataError:
            # A model that is not there now may have been when the memo was written.
            continue
        found.setdefault(fingerprint[:16], []).append(name)
    return found


def _root(params: Params) -> str:
    if params.memo is None:
        raise ConfigError("memo: null, so there is none", "Set `memo` to the memo's folder.")
    return params.memo


def _used(params: Params) -> list[dict[str, Any]]:
    found = []
    for stage in ("reward-head", *layout.OUTPUT_OF):
        try:
            usage = read_stats(params, stage).usage
        except TableError:
            continue
        for asked, u in usage.items():
            hits = u.cached / u.requests if u.requests else 0.0
            counts = {"requests": u.requests, "cached": u.cached, "hits": round(hits, 4)}
            found.append({"stage": stage, "asked": asked, **counts})
    return found


def _label(names: dict[str, list[str]], model: str) -> str:
    return ", ".join(names.get(model, []))


def _counts(of: dict[str, Any]) -> Sequence[str]:
    return (*(f"{of[k]:,}" for k in ("segments", "entries", "duplicates")), _mib(of["bytes"]))


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"
