"""The page about two versions: what differs, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from prefdata.dataset.manifest import Manifest, read_manifest
from prefdata.reports.base import Grid
from prefdata.reports.dataset.diff import Difference, report_difference
from prefdata.reports.figures.drawing import write_svg
from prefdata.reports.figures.funnel import draw_funnel
from prefdata.reports.page.content import Chart, Page, Rows, Section
from prefdata.reports.page.exported import ExportedPairs, read_exported_pairs
from prefdata.reports.page.rows import Row
from prefdata.reports.page.sections.pairs import RATIO, draw_chart
from prefdata.reports.page.version import FORMLESS

NAMES = ("A", "B")
_RATIO = "ratio"
_FIGURES = (
    ("Margins", "margin", "reward of chosen − rejected", 0.0),
    ("Labels", "soft_label", "P(chosen ≻ rejected) by the consensus", None),
    ("CHES, length-normalised", "ches_normalized", "CHES; the lower, the safer", None),
    ("Length bias", _RATIO, "log2 of chosen / rejected length", 0.0),
)
_SHOWN = ("soft_label", "margin", "split")
_WHY = {
    "added": "In B alone.",
    "removed": "In A alone.",
    "flipped": "In B, chosen and rejected are exchanged.",
    "texts": "In B, its texts are others; these are A's.",
    "id": "In B, the same texts have another id.",
}


def compose_comparison(
    a: str, b: str, advance: Callable[[int, int], None] = lambda done, total: None
) -> Page:
    """The page about two versions.

    Args:
        a: What names the first version; see `find_version`.
        b: What names the second version.
        advance: Told how many files of how many were read.

    Raises:
        ConfigError: There is no such version, or the two can't be compared.
        TableError: A version is damaged.
    """
    difference = report_difference(a, b, advance)
    folders = (difference.a.folder, difference.b.folder)
    manifests = [read_manifest(folder) for folder in folders]
    sides = [read_exported_pairs(*each) for each in zip(folders, manifests, strict=True)]
    _, *blocks = difference.blocks()
    lead = "Pairs, labels and drops, B against A."
    if not difference.differs:
        lead = "Nothing: their rows are the same, in the same splits."
    return Page(
        f"{difference.a.name} and {difference.b.name}",
        f"Two versions of {manifests[0].name}: A is {difference.a.name}, B is {difference.b.name}.",
        list(_list_facts(difference)),
        [
            Section("difference", "What differs", lead, blocks),
            _show_stages(manifests),
            _show_distributions([side.pairs for side in sides]),
        ],
        _list_rows(difference, sides),
    )


def _list_facts(difference: Difference) -> Iterator[tuple[str, str]]:
    for name, version in zip(NAMES, (difference.a, difference.b), strict=True):
        yield f"pairs in {name}", f"{version.pairs:,}"
    for kind in ("added", "removed", "flipped"):
        yield kind, f"{difference.pairs[kind]:,}"


def _show_stages(manifests: Sequence[Manifest]) -> Section:
    charts = [
        Chart(
            f"What each stage kept: {name}",
            write_svg(draw_funnel(manifest.stages), f"funnel-{name}"),
            "The share of what went in that came out, and that was dropped.",
            Grid(
                ("stage", "in", "out"),
                [(s.stage, f"{s.rows_in:,}", f"{s.rows_out:,}") for s in manifest.stages],
                [1, 2],
            ),
        )
        for name, manifest in zip(NAMES, manifests, strict=True)
    ]
    return Section("funnel", "Funnel", "Both versions' stages.", charts)


def _show_distributions(found: Sequence[pl.DataFrame]) -> Section:
    title = "Distributions"
    if not all(each.height for each in found):
        return Section("distributions", title, f"Nothing to show: in one of them, {FORMLESS}.")
    pairs = [each.with_columns(RATIO.alias(_RATIO)) for each in found]
    charts = [
        draw_chart(
            name,
            column.replace("_", "-"),
            {side: each[column] for side, each in zip(NAMES, pairs, strict=True)},
            label,
            mark=mark,
        )
        for name, column, label, mark in _FIGURES
        if any(each[column].count() for each in pairs)
    ]
    return Section("distributions", title, "Of the pairs of both versions.", charts)


def _list_rows(difference: Difference, sides: Sequence[ExportedPairs]) -> Rows | None:
    """The first pairs of each kind of difference; None where no rows are here."""
    if any(side.export is None for side in sides):
        return None
    named = [(kind, each) for kind, pairs in difference.named.items() for each in pairs]
    ids = [[each.pair_id for _, each in named], [each.pair_id_b for _, each in named]]
    one, other = (
        side.tell(
            pl.DataFrame(
                {"pair_id": own, "prompt_id": [each.prompt_id for _, each in named]},
                schema={"pair_id": pl.String, "prompt_id": pl.String},
            ).drop_nulls()
        )
        for side, own in zip(sides, ids, strict=True)
    )
    told = [
        _tell(kind, one.get(str(each.pair_id)), other.get(str(each.pair_id_b)))
        for kind, each in named
    ]
    shown = [row for row in told if row]
    return Rows(shown, f"In this page: {len(shown):,} pairs, the first of each kind of difference.")


def _tell(kind: str, one: Row | None, other: Row | None) -> Row | None:
    """The pair as A has it, or else B, and what became of it."""
    row = one or other
    if row is None:
        return None
    changes = [
        f"{name}: {one[name]} in A, {other[name]} in B"
        for name in _SHOWN
        if one and other and one[name] != other[name]
    ]
    why = "\n".join([*([_WHY[kind]] if kind in _WHY else []), *changes])
    return {**row, "reason": kind, "detail": why}
