"""Reports on the memo: its contents, merging its segments, and dropping a model's entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from prefdata.accounting.stats import read_stats
from prefdata.config.params import Params
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.inference.compaction import compact, list_models
from prefdata.inference.inventory import count_entries
from prefdata.inference.versions import locate_versions
from prefdata.reports.base import Block, Figures, Grid, Report
from prefdata.reports.funnel import StageRow
from prefdata.tables.catalog import Catalog

_NAMED = 5
"""How many damaged segments are named in the table."""
_FOLDER_CHARS = 16
"""The names of a model's folders are this many characters of its fingerprint."""


class ModelFigures(Figures):
    """The segments of one operation and model; `damaged` names those that are not whole, and that
    no other figure counts."""

    operation: str
    model: str
    names: list[str]
    segments: int
    entries: int
    duplicates: int
    bytes: int
    damaged: list[str]


class CallHits(Figures):
    """The number of a call's requests that the memo had, in the last run of a stage."""

    stage: str
    call: str
    requests: int
    cached: int
    hits: float


class MemoReport(Report):
    """The contents of a memo, and the hits in the last run of each stage; `damaged` names the
    files of segments that are not whole, and that no other figure counts."""

    memo: str
    segments: int
    entries: int
    duplicates: int
    bytes: int
    damaged: list[str]
    models: list[ModelFigures]
    last_runs: list[CallHits]

    def blocks(self) -> list[Block]:
        """The models, the hits of the last runs, and the memo's folder."""
        rows = [(m.operation, ", ".join(m.names), m.model, *_counts(m)) for m in self.models]
        head = ("operation", "model", "fingerprint", "segments", "entries", "duplicates", "MiB")
        blocks: list[Block] = [Grid(head, [*rows, ("all", "", "", *_counts(self))], range(3, 7))]
        if self.last_runs:
            hits = [
                (r.stage, r.call, f"{r.requests:,}", f"{r.cached:,}", f"{r.hits:.1%}")
                for r in self.last_runs
            ]
            columns = ("stage", "model call", "requests", "from the memo", "hits")
            blocks += ["in the last runs:", Grid(columns, hits, range(2, 5))]
        if self.damaged:
            more = len(self.damaged) - _NAMED
            named = [*self.damaged[:_NAMED], *([f"and {more} more"] if more > 0 else [])]
            what = "damaged segments, which every run leaves out and asks for again. Remove them:"
            blocks.append("\n  ".join([f"{len(self.damaged)} {what}", *named]))
        return [*blocks, f"memo: {self.memo}"]


class MergeFigures(Figures):
    """The result of merging segments, of one operation and model or of all."""

    segments_before: int
    segments_after: int
    bytes_before: int
    bytes_after: int
    duplicates: int


class ModelMerge(MergeFigures):
    """The result of merging the segments of one operation and model."""

    operation: str
    model: str
    names: list[str]


class CompactReport(MergeFigures, Report):
    """The result of merging the segments of a memo."""

    memo: str
    models: list[ModelMerge]

    def blocks(self) -> list[Block]:
        """The models, and the memo's folder."""
        rows = [
            (
                m.operation,
                ", ".join(m.names),
                f"{m.segments_before:,}",
                f"{m.segments_after:,}",
                _format_mib(m.bytes_before),
                _format_mib(m.bytes_after),
                f"{m.duplicates:,}",
            )
            for m in self.models
        ]
        head = (
            "operation", "model", "segments", "merged", "MiB", "merged", "duplicates dropped"
        )  # fmt: skip
        return [Grid(head, rows, range(2, 7)), f"memo: {self.memo}"]


class DropReport(Report):
    """The segments that dropping a model removed."""

    memo: str
    models: list[str]
    segments: int
    bytes: int

    def blocks(self) -> list[Block]:
        """One line on what was removed, and the memo's folder."""
        of = ", ".join(self.models)
        size = _format_mib(self.bytes)
        return [f"dropped {self.segments:,} segments of {of}, {size} MiB", f"memo: {self.memo}"]


def report_memo(
    params: Params, stages: Iterable[StageRow], fingerprints: Mapping[str, str]
) -> MemoReport:
    """Report the contents of the memo.

    Args:
        params: The run's configuration.
        stages: All stages, in order.
        fingerprints: The fingerprint of each available model, by its name in params.yaml.
    """
    root, names = _root(params), _names(fingerprints)
    models = [
        ModelFigures(**asdict(count_entries(root, *where)), names=names.get(where[1], []))
        for where in list_models(root)
    ]
    totals = ("segments", "entries", "duplicates", "bytes")
    return MemoReport(
        memo=root,
        **{name: sum(getattr(model, name) for model in models) for name in totals},
        damaged=[storage.join(root, m.operation, m.model, n) for m in models for n in m.damaged],
        models=models,
        last_runs=list(_list_hits(Catalog(params.data), stages)),
    )


def compact_memo(params: Params, fingerprints: Mapping[str, str]) -> CompactReport:
    """Merge all segments of the memo."""
    root, names = _root(params), _names(fingerprints)
    models = []
    for merged in compact(root, list(list_models(root))):
        figures = {name: getattr(merged, name) for name in MergeFigures.model_fields}
        where = {"operation": merged.operation, "model": merged.model}
        models.append(ModelMerge(**where, names=names.get(merged.model, []), **figures))
    return CompactReport(
        memo=root,
        **{n: sum(getattr(model, n) for model in models) for n in MergeFigures.model_fields},
        models=models,
    )


def drop_model(params: Params, model: str, fingerprints: Mapping[str, str]) -> DropReport:
    """Remove all entries of a model, by its name in params.yaml or its fingerprint.

    Raises:
        ConfigError: The memo has no entries of this model.
    """
    root, names = _root(params), _names(fingerprints)
    contents = list(list_models(root))
    present = sorted({folder for _, folder in contents})
    chosen = [m for m in present if m == model[:_FOLDER_CHARS] or model in names.get(m, [])]
    if not chosen:
        contained = ", ".join(", ".join(names.get(m, [m])) for m in present) or "nothing"
        raise ConfigError(
            f"--model {model}: the memo {root} holds nothing of it; it holds: {contained}",
            "Name a model of params.yaml, or a fingerprint that `prefdata memo stats` shows.",
        )
    removed = size = 0
    for operation, folder in contents:
        if folder in chosen:
            path = storage.join(root, operation, folder)
            for file in storage.list_files(path):
                storage.remove(storage.join(path, file.name), setting="memo")
                removed, size = removed + 1, size + file.size
    for folder in chosen:
        storage.remove_folder(locate_versions(root, folder))
    return DropReport(memo=root, models=chosen, segments=removed, bytes=size)


def _root(params: Params) -> str:
    if params.memo is None:
        raise ConfigError("memo: null, so there is none", "Set `memo` to the memo's folder.")
    return params.memo


def _names(fingerprints: Mapping[str, str]) -> dict[str, list[str]]:
    """The names of each model in params.yaml, by the name of its folders."""
    names: dict[str, list[str]] = {}
    for name, fingerprint in fingerprints.items():
        names.setdefault(fingerprint[:_FOLDER_CHARS], []).append(name)
    return names


def _list_hits(catalog: Catalog, stages: Iterable[StageRow]) -> Iterable[CallHits]:
    for stage in stages:
        stats = read_stats(catalog, stage.name)
        for call, usage in stats.usage.items() if stats else ():
            hits = round(usage.cached / usage.requests, 4) if usage.requests else 0.0
            counts = {"requests": usage.requests, "cached": usage.cached}
            yield CallHits(stage=stage.name, call=call, hits=hits, **counts)


def _counts(of: ModelFigures | MemoReport) -> tuple[str, ...]:
    numbers = (of.segments, of.entries, of.duplicates)
    return (*(f"{number:,}" for number in numbers), _format_mib(of.bytes))


def _format_mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"
