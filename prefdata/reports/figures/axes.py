"""Axes to draw on, without matplotlib's global state, and the bars that several figures have."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prefdata.reports.figures.drawing import MUTED, WIDTH, clean_name

BAR = 0.62
"""The height of a bar, of the place it has."""


def open_axes(height: float = 3.2) -> tuple[Figure, Axes]:
    """A figure of the common width, `height` inches high, and its axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(length=0)
    return figure, axes


def open_rows(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Axes with a row for each name, the first on top, as high as they need to be."""
    figure, axes = open_axes(0.9 + 0.34 * max(len(names), 1))
    axes.set_yticks(range(len(names)), [clean_name(name, 34) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return figure, axes


def note_row(axes: Axes, row: int, x: float, text: str) -> None:
    """Write beside the end of a row's bar."""
    axes.annotate(
        text, (x, row), (5, 0), textcoords="offset points", va="center", color=MUTED, fontsize=9.5
    )
