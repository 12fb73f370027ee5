"""The funnel: what each stage took in, put out and dropped."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.dataset.manifest import StageEntry
from prefdata.reports.base import Grid, join_counts
from prefdata.reports.figures.drawing import write_svg
from prefdata.reports.figures.funnel import count_drops, draw_drops, draw_funnel
from prefdata.reports.page.content import Chart, Section


def show_funnel(stages: Sequence[StageEntry]) -> Section:
    """The section, of the stages in order."""
    title = "Funnel"
    if not stages:
        return Section("funnel", title, "Nothing to show: no stage is done.")
    table = Grid(
        ("stage", "unit", "in", "out", "dropped", "why"),
        [
            (
                each.stage,
                each.unit,
                *(f"{n:,}" for n in (each.rows_in, each.rows_out, sum(each.dropped.values()))),
                join_counts(each.dropped),
            )
            for each in stages
        ],
        range(2, 5),
    )
    charts = [
        Chart(
            "What each stage kept",
            write_svg(draw_funnel(stages), "funnel"),
            "Of all that goes into a stage, the share that comes out, and the share that it drops.",
            table,
        )
    ]
    drops = count_drops(stages)
    if drops:
        stage, reason, count = drops[0]
        charts.append(
            Chart(
                "Why records were dropped",
                write_svg(draw_drops(stages), "drops"),
                f"The most frequent reason is {reason} in {stage}: {count:,} records.",
                Grid(
                    ("stage", "reason", "records"),
                    [(stage, reason, f"{count:,}") for stage, reason, count in drops],
                    [2],
                ),
            )
        )
    return Section("funnel", title, "Rows in are rows out and dropped, in every stage.", charts)
