"""The funnel: what each stage kept and dropped, and why."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from prefdata.dataset.manifest import StageEntry
from prefdata.reports.figures.axes import BAR, note_row, open_rows
from prefdata.reports.figures.drawing import SERIES, STYLE

MAX_REASONS = 14
"""The reasons with the most dropped records; the others are one bar."""


@rc_context(STYLE)
def draw_funnel(stages: Sequence[StageEntry]) -> Figure:
    """A bar for each stage: the share of what went in that it kept, and that it dropped."""
    figure, axes = open_rows([each.stage for each in stages])
    kept = [_share(each.rows_out, each.rows_in) for each in stages]
    dropped = [_share(sum(each.dropped.values()), each.rows_in) for each in stages]
    rows = range(len(stages))
    axes.barh(rows, kept, BAR, color=SERIES[0], label="out")
    axes.barh(rows, dropped, BAR, left=kept, color=SERIES[1], hatch="///", label="dropped")
    for row, each in enumerate(stages):
        note_row(axes, row, 1, f"{each.rows_out:,} of {each.rows_in:,} {each.unit}")
    axes.set_xlim(0, 1.62)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 % of what went in"])
    if stages:
        figure.legend(loc="outside upper left", ncols=2)
    return figure


@rc_context(STYLE)
def draw_drops(stages: Sequence[StageEntry]) -> Figure:
    """A bar for each reason why records were dropped, the most frequent first."""
    counts = count_drops(stages)
    figure, axes = open_rows([f"{reason} ({stage})" for stage, reason, _ in counts])
    axes.barh(range(len(counts)), [count for *_, count in counts], BAR, color=SERIES[1])
    most = max((count for *_, count in counts), default=1)
    for row, (*_, count) in enumerate(counts):
        note_row(axes, row, count, f"{count:,}")
    axes.set_xlim(0, most * 1.18)
    axes.set_xlabel("dropped records")
    return figure


def count_drops(stages: Sequence[StageEntry]) -> list[tuple[str, str, int]]:
    """(stage, reason, dropped records), the most frequent first, at most MAX_REASONS of them; the
    rest are counted together."""
    counts = sorted(
        ((each.stage, reason, n) for each in stages for reason, n in each.dropped.items()),
        key=lambda drop: (-drop[2], *drop[:2]),
    )
    if len(counts) <= MAX_REASONS:
        return counts
    rest = counts[MAX_REASONS - 1 :]
    return [*counts[: MAX_REASONS - 1], ("all", f"{len(rest)} other reasons", _count(rest))]


def _count(drops: Sequence[tuple[str, str, int]]) -> int:
    return sum(count for *_, count in drops)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
