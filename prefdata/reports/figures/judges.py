"""The judges: how far they agree, how often the order flips them, and how right they are when they
are sure."""

from __future__ import annotations

import polars as pl
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from prefdata.reports.figures.axes import BAR, note_row, open_axes, open_rows
from prefdata.reports.figures.drawing import MUTED, SERIES, STYLE, clean_name

_STRONGEST = 0.6
"""The opacity of a cell of full agreement, on which text is still readable."""


@rc_context(STYLE)
def draw_agreement(agreement: pl.DataFrame) -> Figure:
    """A matrix of judges: the share of equal verdicts, and Cohen's kappa.

    Args:
        agreement: `judge`, `other`, `agree` and `kappa`, either of which may be null.
    """
    names = sorted({*agreement["judge"], *agreement["other"]})
    figure, axes = open_axes(1.1 + 0.55 * max(len(names), 1))
    places = {name: number for number, name in enumerate(names)}
    for row in agreement.iter_rows(named=True):
        x, y, agree = places[row["other"]], places[row["judge"]], row["agree"]
        opacity = 0 if agree is None else _STRONGEST * max(agree, 0)
        axes.add_patch(
            Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=SERIES[0], alpha=opacity, lw=0)
        )
        kappa = "" if row["kappa"] is None else f"\nκ {row['kappa']:.2f}"
        text = "–" if agree is None else f"{agree:.0%}{kappa}"
        axes.text(x, y, text, ha="center", va="center", fontsize=9.5, linespacing=1.3)
    short = [clean_name(name, 18) for name in names]
    axes.set_xticks(range(len(names)), short, rotation=0 if len(names) < 5 else 30)
    axes.set_yticks(range(len(names)), short)
    axes.set_xlim(-0.5, max(len(names), 1) - 0.5)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


@rc_context(STYLE)
def draw_flips(flips: pl.DataFrame) -> Figure:
    """A bar for each judge: the share of its verdicts that the other order turns round.

    Args:
        flips: `judge` and `flips`, null where it is not asked in both orders.
    """
    figure, axes = open_rows(flips["judge"].to_list())
    for row, share in enumerate(flips["flips"]):
        axes.barh([row], [share or 0], BAR, color=SERIES[1])
        note_row(axes, row, share or 0, "one order only" if share is None else f"{share:.1%}")
    axes.set_xlim(0, 1.25)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("verdicts that flip when the responses change places")
    return figure


@rc_context(STYLE)
def draw_calibration(curves: pl.DataFrame, label: str) -> Figure:
    """A line for each judge: how often it is right, by how sure it is.

    Args:
        curves: `judge`, `confidence`, `accuracy`, `comparisons`: the points of reliability curves.
        label: What it is compared with.
    """
    figure, axes = open_axes(3.4)
    axes.plot([0.5, 1], [0.5, 1], color=MUTED, linewidth=1, linestyle="dotted")
    judges = curves["judge"].unique().sort().to_list()
    for number, judge in enumerate(judges):
        curve = curves.filter(judge=judge).sort("confidence")
        axes.plot(
            curve["confidence"].to_list(),
            curve["accuracy"].to_list(),
            color=SERIES[number % len(SERIES)],
            marker="os^Dv"[number % 5],
            markersize=4.5,
            linewidth=1.5,
            label=clean_name(judge),
        )
    axes.set_xlim(0.48, 1.02)
    axes.set_ylim(-0.02, 1.04)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel("how sure the judge is")
    axes.set_ylabel(f"agrees with {clean_name(label)}")
    if judges:
        axes.legend(loc="lower right")
    return figure
