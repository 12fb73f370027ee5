"""The filters there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.filters.base import Filter
from prefdata.filters.ches import Ches
from prefdata.filters.limit import Limit
from prefdata.filters.near_duplicate_prompts import NearDuplicatePrompts
from prefdata.filters.near_identical import NearIdentical

FILTERS: dict[str, type[Filter]] = {
    f.kind: f for f in (Ches, Limit, NearDuplicatePrompts, NearIdentical)
}


def build(parts: Sequence[Part]) -> list[Filter]:
    """The filters of params.yaml in their order, their settings checked."""
    filters = []
    for position, part in enumerate(parts):
        where = f"filter.filters.{position}"
        filters.append(known(FILTERS, part.kind, where)(part.settings(), where))
    return filters
