"""The prompts on a map: those that resemble each other lie near each other."""

from __future__ import annotations

import polars as pl
from matplotlib import rc_context
from matplotlib.figure import Figure

from prefdata.reports.figures.axes import open_axes
from prefdata.reports.figures.drawing import SERIES, STYLE, clean_name

MAX_GROUPS = len(SERIES) - 1
"""The largest groups have a colour and a mark each; the others share one."""
OTHERS = "all others"
_MARKS = "os^Dv+"


@rc_context(STYLE)
def draw_map(points: pl.DataFrame) -> Figure:
    """A mark for each prompt.

    Args:
        points: `x`, `y` and `group`, such as the prompt's source.
    """
    figure, axes = open_axes(4.2)
    sizes = points.group_by("group").len().sort(["len", "group"], descending=[True, False])
    names = sizes["group"].head(MAX_GROUPS).to_list()
    grouped = points.with_columns(
        group=pl.when(pl.col("group").is_in(names)).then("group").otherwise(pl.lit(OTHERS))
    )
    if sizes.height > MAX_GROUPS:
        names.append(OTHERS)
    for number, name in enumerate(names):
        group = grouped.filter(group=name)
        axes.scatter(
            group["x"].to_list(),
            group["y"].to_list(),
            s=16,
            color=SERIES[number],
            marker=_MARKS[number],
            alpha=0.65,
            linewidths=1 if _MARKS[number] == "+" else 0,
            label=clean_name(name),
        )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if len(names) > 1:
        figure.legend(loc="outside lower left", ncols=2)
    return figure
