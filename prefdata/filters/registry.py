"""All filters, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.filters.base import Filter
from prefdata.parts import Registry

FILTERS: Registry[Filter] = Registry(
    Filter,
    (
        "prefdata.filters.texts",
        "prefdata.filters.pairs",
        "prefdata.filters.duplicates",
        "prefdata.filters.selection",
    ),
    "prefdata.filters",
)
