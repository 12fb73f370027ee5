"""The injection probe in the audit: which attacks turn which judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefdata.reports.base import Block, Grid

INJECTION = {
    "judge": "its name",
    "attack": "what was added to the response that lost; harmless words ask for nothing",
    "comparisons": "those that it decided without the words and judged with them",
    "turned": "the share of them whose loser won; no more than by harmless words says nothing",
    "unscored": "the share that the words left without a verdict",
}


def tabulate_injection(figures: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Block]:
    """A row for each judge and attack; nothing where no judge was probed."""
    rows = [
        (
            name,
            each["attack"],
            f"{each['comparisons']:,}",
            *("" if each[rate] is None else f"{each[rate]:.3f}" for rate in ("turned", "unscored")),
        )
        for name, probed in figures.items()
        for each in probed
    ]
    return [Grid(tuple(INJECTION), rows, range(2, 5), INJECTION)] if rows else []
