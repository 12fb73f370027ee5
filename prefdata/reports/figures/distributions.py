"""How values are distributed: rewards, margins, lengths, CHES."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib import rc_context
from matplotlib.figure import Figure

from prefdata.reports.figures.axes import open_axes
from prefdata.reports.figures.drawing import SERIES, STYLE, clean_name

BINS = 30
_LINES = ("solid", "dashed", "dotted", "dashdot")


def bin_values(values: Mapping[str, pl.Series], bins: int = BINS) -> pl.DataFrame:
    """`low`, `high`, and the share of each series' values in each bin.

    The bins are as wide as the 1st to the 99th percentile of all values need; what lies beyond
    counts in the outermost ones. Nulls and what is not finite are left out. Without values, no bin.
    """
    arrays = {name: _take_finite(series) for name, series in values.items()}
    filled = [array for array in arrays.values() if len(array)]
    if not filled:
        return pl.DataFrame(schema={"low": pl.Float64, "high": pl.Float64})
    low, high = np.quantile(np.concatenate(filled), (0.01, 0.99))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    shares = {
        name: np.histogram(np.clip(array, low, high), edges)[0] / max(len(array), 1)
        for name, array in arrays.items()
    }
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], **shares})


@rc_context(STYLE)
def draw_distribution(
    values: Mapping[str, pl.Series], label: str, *, mark: float | None = None
) -> Figure:
    """The histogram of each series, over common bins (`bin_values`).

    Args:
        values: By name, the values, one per row.
        label: What they are, with their unit.
        mark: A value to mark by a line, such as 0.
    """
    figure, axes = open_axes()
    binned = bin_values(values)
    edges = [*binned["low"], *binned["high"].tail(1)]
    for number, name in enumerate(values):
        if not edges:
            break
        colour, line = SERIES[number % len(SERIES)], _LINES[number % len(_LINES)]
        # The last series lies over the first ones: both stay visible.
        axes.stairs(binned[name], edges, fill=True, color=colour, alpha=0.18)
        axes.stairs(
            binned[name], edges, color=colour, linewidth=1.6, linestyle=line, label=clean_name(name)
        )
    if mark is not None and edges and edges[0] < mark < edges[-1]:
        axes.axvline(mark, color=SERIES[3], linewidth=1)
    axes.set_xlabel(clean_name(label, 80))
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_ylabel("share")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.grid(visible=False, axis="x")
    if len(values) > 1 and edges:
        figure.legend(loc="outside upper right", ncols=min(len(values), 3))
    return figure


def _take_finite(values: pl.Series) -> np.ndarray:
    array = values.drop_nulls().cast(pl.Float64).to_numpy()
    return array[np.isfinite(array)]
