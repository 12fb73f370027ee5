"""Labels turned to chosen and rejected, and the texts beside them."""

from __future__ import annotations

import polars as pl
import pytest

from prefdata.comparisons.sides import join_texts, orient_labels


def test_labels_turn_to_the_preferred_side() -> None:
    rows = pl.DataFrame(
        {
            "prompt_id": ["p"] * 3,
            "response_a": ["x"] * 3,
            "response_b": ["y"] * 3,
            "preference": [0.2, 0.7, 0.5],
            "agreement": [1.0, 0.5, 0.5],
            "flag": [None, "cycle", None],
        }
    )
    found = orient_labels(rows).to_dicts()
    assert [(r["chosen_id"], r["rejected_id"]) for r in found] == [("y", "x"), ("x", "y")]
    assert [r["soft_label"] for r in found] == pytest.approx([0.8, 0.7])
    assert [r["agreement"] for r in found] == [1.0, 0.5]
    assert [r["flag"] for r in found] == [None, "cycle"]


def test_texts_come_to_the_pairs_in_their_order() -> None:
    pairs = pl.DataFrame({"chosen_id": ["y", "x"], "rejected_id": ["x", "gone"]})
    responses = pl.DataFrame({"response_id": ["x", "y"], "text": ["ex", "why"]})
    assert join_texts(pairs, responses).select("chosen", "rejected").rows() == [
        ("why", "ex"),
        ("ex", None),
    ]
