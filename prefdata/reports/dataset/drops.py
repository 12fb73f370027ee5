"""What two versions dropped, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from prefdata.dataset.manifest import DropsBy, ExportEntry, Manifest, StageEntry
from prefdata.reports.base import Figures, Grid


class DropChange(Figures):
    """How many records a stage or an export dropped for a reason."""

    where: str = Field(description='The stage, or "export NAME".')
    reason: str
    source: str | None = Field(None, description="Null: of all sources.")
    split: str | None = Field(None, description="Null: of all splits.")
    a: int
    b: int


def compare_drops(one: Manifest, other: Manifest) -> Iterator[DropChange]:
    """What each stage and export of two versions dropped, in the order of the stages."""
    listed = [_list_droppers(manifest) for manifest in (one, other)]
    for where in {**listed[0], **listed[1]}:
        a, b = (each.get(where) for each in listed)
        yield from _compare_reasons(where, a.dropped if a else {}, b.dropped if b else {})
        # Early manifests do not say by what.
        if not any(each and each.dropped and not each.dropped_by_split for each in (a, b)):
            for by in ("source", "split"):
                yield from _compare_by(where, by, _get_drops(a, by), _get_drops(b, by))


def _list_droppers(manifest: Manifest) -> dict[str, StageEntry | ExportEntry]:
    stages = {stage.stage: stage for stage in manifest.stages}
    return {**stages, **{f"export {name}": each for name, each in manifest.exports.items()}}


def _get_drops(dropper: StageEntry | ExportEntry | None, by: str) -> DropsBy:
    if dropper is None:
        return {}
    return dropper.dropped_by_source if by == "source" else dropper.dropped_by_split


def _compare_by(where: str, by: str, a: DropsBy, b: DropsBy) -> Iterator[DropChange]:
    for value in sorted({*a, *b}):
        for change in _compare_reasons(where, a.get(value, {}), b.get(value, {})):
            yield change.model_copy(update={by: value})


def _compare_reasons(
    where: str, a: Mapping[str, int], b: Mapping[str, int]
) -> Iterator[DropChange]:
    for reason in sorted({*a, *b}):
        yield DropChange(where=where, reason=reason, a=a.get(reason, 0), b=b.get(reason, 0))


def tabulate_drops(drops: Sequence[DropChange]) -> Grid:
    """The counts, and how they changed. Those of the only source or split are those of all."""
    for by in ("source", "split"):
        if len({getattr(each, by) for each in drops} - {None}) == 1:
            drops = [each for each in drops if getattr(each, by) is None]
    rows = [
        (
            each.where,
            each.reason,
            each.source or each.split or "all",
            f"{each.a:,}",
            f"{each.b:,}",
            f"{each.b - each.a:+,}",
        )
        for each in drops
    ]
    return Grid(("dropped by", "reason", "of", "A", "B", "change"), rows, range(3, 6))
