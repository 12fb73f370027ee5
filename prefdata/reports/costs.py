"""The model calls of each stage, and their costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from prefdata.config.params import Params
from prefdata.engines.config import PricesParams
from prefdata.inference.usage import Usage
from prefdata.reports.base import Figures, Grid

_HEAD = (
    "stage", "model call", "requests", "cached", "failed", "retries", "tokens in", "tokens out",
    "seconds", "tokens/s",
)  # fmt: skip


class Cost(Figures):
    """A cost in one currency."""

    currency: str
    spent: float = Field(description="The cost of the requests that were made.")
    saved: float = Field(description="The cost of the requests that the memo saved.")


class CallFigures(Usage):
    """The usage of one call, such as "generate policy", in a stage's last run."""

    tokens_per_s: float
    cost: Cost | None = Field(description="Null if the model has no prices.")


def report_calls(params: Params, usage: Mapping[str, Usage]) -> dict[str, CallFigures]:
    """A stage's calls with their rates and costs."""
    return {
        call: CallFigures(
            **used.model_dump(),
            tokens_per_s=round(used.tokens_per_second(), 1),
            cost=_cost(params, call, used),
        )
        for call, used in usage.items()
    }


def prices_of(params: Params, call: str) -> PricesParams | None:
    """The prices of the model of a call, such as "generate policy"."""
    model = params.models.get(call.partition(" ")[2])
    return model.prices if model else None


def add_costs(calls: Iterable[CallFigures]) -> list[Cost]:
    """The total cost of all calls per currency, sorted by currency."""
    totals: dict[str, Cost] = {}
    for cost in (call.cost for call in calls if call.cost):
        old = totals.get(cost.currency, Cost(currency=cost.currency, spent=0, saved=0))
        totals[cost.currency] = Cost(
            currency=cost.currency,
            spent=round(old.spent + cost.spent, 6),
            saved=round(old.saved + cost.saved, 6),
        )
    return [totals[currency] for currency in sorted(totals)]


def tabulate_calls(calls: Mapping[str, Mapping[str, CallFigures]]) -> Grid:
    """The calls of each stage as a table, with costs if any model has prices."""
    listed = [(stage, *item) for stage, of_stage in calls.items() for item in of_stage.items()]
    priced = any(figures.cost for _, _, figures in listed)
    rows = []
    for stage, call, figures in listed:
        counts = (figures.requests, figures.cached, figures.failed, figures.retries)
        tokens = (figures.tokens_in, figures.tokens_out)
        row = [stage, call, *(f"{n:,}" for n in (*counts, *tokens))]
        row += [f"{figures.seconds:,.1f}", f"{figures.tokens_per_s:,.0f}"]
        if priced:
            cost = figures.cost
            money = (cost.spent, cost.saved) if cost else ()
            row += [f"{n:,.4f} {cost.currency}" for n in money if cost] or ["", ""]
        rows.append(row)
    head = (*_HEAD, "cost", "saved") if priced else _HEAD
    return Grid(head, rows, range(2, len(head)))


def format_costs(costs: Iterable[Cost]) -> str:
    """All costs in one line."""
    return ", ".join(f"{c.spent:,.4f} {c.currency} (the memo saved {c.saved:,.4f})" for c in costs)


def _cost(params: Params, call: str, usage: Usage) -> Cost | None:
    prices = prices_of(params, call)
    if prices is None:
        return None
    return Cost(
        currency=prices.currency,
        spent=prices.cost(usage.tokens_in, usage.tokens_out),
        saved=prices.cost(usage.cached_tokens_in, usage.cached_tokens_out),
    )
