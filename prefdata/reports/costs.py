"""What the models of each stage were asked and what that cost: as data, and as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from prefdata.config.params import Params
from prefdata.engines.config import PricesParams
from prefdata.errors import TableError
from prefdata.inference.usage import Usage
from prefdata.pipelines.stages.base import read_stats

_HEAD = (
    "stage", "model calls", "requests", "cached", "failed", "retries", "tokens in", "tokens out",
    "seconds", "tokens/s",
)  # fmt: skip


class Cost(BaseModel):
    """Money, in one currency: for what was asked anew, and what the memo spared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str
    spent: float
    saved: float


def cost(params: Params, call: str, usage: Usage) -> Cost | None:
    """What the calls, such as "generate policy", cost; None where the model has no prices."""
    prices = prices_of(params, call)
    if prices is None:
        return None
    return Cost(
        currency=prices.currency,
        spent=prices.cost(usage.tokens_in, usage.tokens_out),
        saved=prices.cost(usage.cached_tokens_in, usage.cached_tokens_out),
    )


def prices_of(params: Params, call: str) -> PricesParams | None:
    """The prices of the model of a call, such as "generate policy"."""
    model = params.models.get(call.partition(" ")[2])
    return model.prices if model else None


def stage_usage(params: Params, stage: str) -> dict[str, Usage]:
    """By call, what the stage's last run asked; nothing where it has not run."""
    try:
        return read_stats(params, stage).usage
    except TableError:
        return {}


def figures(params: Params, stage: str) -> dict[str, Any]:
    """A stage's calls with their rates and costs, for `--json`."""
    entries: dict[str, Any] = {}
    for call, usage in stage_usage(params, stage).items():
        price = cost(params, call, usage)
        entries[call] = {
            **usage.model_dump(),
            "tokens_per_s": round(usage.tokens_per_second(), 1),
            "cost": None if price is None else price.model_dump(),
        }
    return entries


def totals(params: Params, stages: Iterable[str]) -> list[Cost]:
    """The costs of all stages, one a currency."""
    found: dict[str, Cost] = {}
    for stage in stages:
        for call, usage in stage_usage(params, stage).items():
            new = cost(params, call, usage)
            if new is None:
                continue
            old = found.get(new.currency, Cost(currency=new.currency, spent=0, saved=0))
            found[new.currency] = Cost(
                currency=new.currency,
                spent=round(old.spent + new.spent, 6),
                saved=round(old.saved + new.saved, 6),
            )
    return [found[currency] for currency in sorted(found)]


def table(params: Params, stages: Iterable[str]) -> list[tuple[str, ...]]:
    """The calls as rows, for people, the head first; with costs where a model has prices."""
    listed = [(s, c, u) for s in stages for c, u in stage_usage(params, s).items()]
    priced = any(prices_of(params, call) for _, call, _ in listed)
    rows = []
    for stage, call, usage in listed:
        counts = (usage.requests, usage.cached, usage.failed, usage.retries)
        row = [stage, call, *(f"{n:,}" for n in counts)]
        row += [f"{usage.tokens_in:,}", f"{usage.tokens_out:,}"]
        row += [f"{usage.seconds:,.1f}", f"{usage.tokens_per_second():,.0f}"]
        if priced:
            price = cost(params, call, usage)
            row += ["", ""] if price is None else [_money(price, "spent"), _money(price, "saved")]
        rows.append(tuple(row))
    return [(*_HEAD, "cost", "saved") if priced else _HEAD, *rows]


def _money(price: Cost, field: str) -> str:
    return f"{getattr(price, field):,.4f} {price.currency}"


def said(costs: Iterable[Cost]) -> str:
    """One line of what all cost."""
    parts = [f"{c.spent:,.4f} {c.currency} (the memo saved {c.saved:,.4f})" for c in costs]
    return ", ".join(parts)
