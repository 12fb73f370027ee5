"""What the model calls took: tokens and seconds by stage."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib import rc_context
from matplotlib.figure import Figure

from prefdata.inference.usage import Usage
from prefdata.reports.figures.axes import BAR, note_row, open_rows
from prefdata.reports.figures.drawing import SERIES, STYLE


@rc_context(STYLE)
def draw_tokens(calls: Mapping[str, Usage]) -> Figure:
    """A bar for each call, such as "generate: generate policy": the tokens that the model read and
    wrote, and those that the memo saved."""
    figure, axes = open_rows(list(calls))
    ends = [0] * len(calls)
    parts = (
        ("read", [each.tokens_in for each in calls.values()], SERIES[0], None),
        ("written", [each.tokens_out for each in calls.values()], SERIES[1], None),
        (
            "saved by the memo",
            [each.cached_tokens_in + each.cached_tokens_out for each in calls.values()],
            SERIES[2],
            "///",
        ),
    )
    for name, counts, colour, hatch in parts:
        axes.barh(range(len(calls)), counts, BAR, left=ends, color=colour, hatch=hatch, label=name)
        ends = [end + count for end, count in zip(ends, counts, strict=True)]
    for row, end in enumerate(ends):
        note_row(axes, row, end, f"{end:,}")
    axes.set_xlim(0, max([*ends, 1]) * 1.25)
    axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("tokens")
    if calls:
        figure.legend(loc="outside upper left", ncols=3)
    return figure
