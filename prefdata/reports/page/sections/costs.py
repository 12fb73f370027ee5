"""What the run took: tokens, time and money by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefdata.dataset.manifest import StageEntry
from prefdata.reports.base import Block, Grid
from prefdata.reports.costs import CallFigures, Cost, format_costs, tabulate_calls
from prefdata.reports.figures.costs import draw_tokens
from prefdata.reports.figures.drawing import write_svg
from prefdata.reports.page.content import Chart, Section

_TITLE = "Tokens, time and cost"


def show_costs(calls: Mapping[str, Mapping[str, CallFigures]], costs: Sequence[Cost]) -> Section:
    """The section, of the model calls of each stage."""
    listed = {
        f"{stage}: {call}": usage
        for stage, of_stage in calls.items()
        for call, usage in of_stage.items()
        if usage.requests
    }
    if not listed:
        return Section("costs", _TITLE, "Nothing to show: no stage asked a model.")
    table = tabulate_calls(calls)
    tokens = sum(usage.tokens_in + usage.tokens_out for usage in listed.values())
    saved = sum(usage.cached_tokens_in + usage.cached_tokens_out for usage in listed.values())
    seconds = sum(usage.seconds for usage in listed.values())
    chart = Chart(
        "Tokens by model call",
        write_svg(draw_tokens(listed), "tokens"),
        f"{tokens:,} tokens in {seconds:,.0f} seconds of model calls; the memo saved {saved:,}.",
        table,
    )
    money = f"Cost: {format_costs(costs)}." if costs else "No model of the run has prices."
    lead = f"Of each stage's last run. {money}"
    return Section("costs", _TITLE, lead, [chart, table])


def show_asked(stages: Sequence[StageEntry]) -> Section:
    """The section, of what a version's manifest says of the model calls of its stages."""
    rows = [
        (
            each.stage,
            call,
            *(f"{n:,}" for n in (asked.requests, asked.tokens_in, asked.tokens_out)),
            "" if asked.cost is None else f"{asked.cost:,.4f} {asked.currency}",
        )
        for each in stages
        for call, asked in each.models.items()
    ]
    if not rows:
        return Section("costs", _TITLE, "Nothing to show: the manifest names no model call.")
    head = ("stage", "model call", "requests", "tokens in", "tokens out", "cost")
    parts: list[Block] = [Grid(head, rows, range(2, 6))]
    lead = (
        "What the version's models were asked, each request once. Seconds are not here: they "
        "are in the run's data/stats."
    )
    return Section("costs", _TITLE, lead, parts)
