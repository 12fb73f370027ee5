"""The filters of params.yaml: known kinds, checked settings."""

from __future__ import annotations

from typing import Any

import pytest

from prefdata.ches.measure import COLUMNS
from prefdata.errors import ConfigError
from prefdata.filters import registry as lookup
from prefdata.records import AugmentedPair, FilteredPair


def test_filters_come_in_the_order_of_the_configuration() -> None:
    parts = [
        Part(kind="near_identical"),
        Part(kind="ches", max_value=0.0),
        Part(kind="near_duplicates"),
        Part(kind="near_identical", max_similarity=0.5),
    ]
    assert [f.kind for f in lookup.build(parts)] == [part.kind for part in parts]
    assert lookup.build([]) == []


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"kind": "ppl"}, ["filter.filters.1.kind: 'ppl' is unknown", *lookup.FILTERS]),
        ({"kind": "near_identical", "max_similarity": 0}, ["filter.filters.1", "max_similarity"]),
        ({"kind": "near_duplicates", "max_similarity": 1.1}, ["max_similarity"]),
        ({"kind": "ches", "max_quantile": 0}, ["filter.filters.1", "max_quantile"]),
        ({"kind": "ches", "max_value": 0, "score": "gram"}, ["score", "ches_normalized"]),
        ({"kind": "ches", "quantile": 0.8}, ["quantile: unknown key", "max_quantile, max_value"]),
    ],
    ids=["kind", "similarity", "prompts", "quantile", "score", "key"],
)
def test_a_wrong_filter_is_refused(part: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        lookup.build([Part(kind="near_identical"), Part(**part)])
    assert all(text in str(caught.value) for text in says)


def test_every_figure_that_a_filter_leaves_has_a_column() -> None:
    left = [*COLUMNS, "similarity", "cosine_similarity", "weight"]
    assert sorted(left) == sorted(set(FilteredPair.model_fields) - set(AugmentedPair.model_fields))
