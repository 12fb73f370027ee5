"""Consensus: hand cases, and what must hold whatever the judges say."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.consensus.registry import CONSENSUSES
from prefdata.errors import ConfigError

SCHEMA: dict[str, Any] = {
    "prompt_id": pl.String,
    "response_a": pl.String,
    "response_b": pl.String,
    "judge": pl.String,
    "dimension": pl.String,
    "annotator": pl.String,
    "group": pl.String,
    "preference": pl.Float64,
    "unscored": pl.String,
}
Judgments = list[float | None]
MEANS = ("mean", "scir")
"""The two whose label is the mean of the judgments; all kinds are in test_properties.py."""


def table(*compared: Judgments) -> pl.DataFrame:
    """One comparison a list, the judges called j0, j1 …"""
    rows = [
        (
            f"p{n}",
            "a",
            "b",
            f"j{j}",
            "helpfulness",
            None,
            None,
            preference,
            "timeout" if preference is None else None,
        )
        for n, judgments in enumerate(compared)
        for j, preference in enumerate(judgments)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def decide(kind: str, rows: pl.DataFrame, **settings: Any) -> list[dict[str, Any]]:
    found = CONSENSUSES.parse({"kind": kind, **settings}).decide(rows, pl.DataFrame())
    return found.sort("prompt_id").to_dicts()


def one(kind: str, judgments: Judgments, **settings: Any) -> dict[str, Any]:
    (row,) = decide(kind, table(judgments), **settings)
    return row


@pytest.mark.parametrize(
    ("judgments", "preference", "agreement"),
    [
        ([0.9], 0.9, 1),
        ([0.9, 0.6], 0.75, 1),
        ([0.1, 0.3, 0.2], 0.2, 1),
        ([0.8, None, 0.6], 0.7, 1),
        ([0.51, 1.0], 0.755, 1),
    ],
)
@pytest.mark.parametrize("kind", MEANS)
def test_judges_that_agree_make_their_mean_the_label(
    kind: str, judgments: Judgments, preference: float, agreement: float
) -> None:
    row = one(kind, judgments, min_judgments=1)
    assert row["reason"] is None
    assert row["preference"] == pytest.approx(preference)
    assert row["agreement"] == agreement


@pytest.mark.parametrize(
    ("judgments", "reason"),
    [
        ([0.9, 0.4], "disagreement"),
        ([0.99, 0.99, 0.49], "disagreement"),
        ([0.9, 0.5], "disagreement"),
        ([0.2, 0.8], "disagreement"),
        ([0.5, 0.5], "tie"),
        ([0.5, 0.5, None], "tie"),
        ([0.9], "too_few_judgments"),
        ([0.9, None], "too_few_judgments"),
        ([None], "too_few_judgments"),
        ([None, None], "too_few_judgments"),
    ],
)
def test_scir_has_no_label_where_not_all_agree(judgments: Judgments, reason: str) -> None:
    assert one("scir", judgments)["reason"] == reason


@pytest.mark.parametrize(
    ("judgments", "reason", "preference", "agreement"),
    [
        ([0.9, 0.4], None, 0.65, 1 / 2),
        ([0.1, 0.3, 0.6], None, 1 / 3, 2 / 3),
        ([0.9, 0.5], None, 0.7, 1 / 2),
        ([0.25, 0.75], "tie", 0.5, None),
        ([0.5], "tie", 0.5, None),
        ([None, None], "too_few_judgments", None, None),
    ],
)
def test_the_mean_takes_a_majority_by_weight(
    judgments: Judgments, reason: str | None, preference: float | None, agreement: float | None
) -> None:
    row = one("mean", judgments)
    assert row["reason"] == reason
    assert row["preference"] == (None if preference is None else pytest.approx(preference))
    if agreement is not None:
        assert row["agreement"] == pytest.approx(agreement)


@pytest.mark.parametrize("kind", MEANS)
@pytest.mark.parametrize(
    ("judgments", "least", "reason"),
    [
        ([0.9, 0.9], 2, None),
        ([0.9, None], 2, "too_few_judgments"),
        ([0.9, None, 0.8], 2, None),
        ([0.9, 0.1], 3, "too_few_judgments"),
        ([0.5], 2, "too_few_judgments"),
    ],
)
def test_unscored_judgments_do_not_count_towards_the_least_number(
    kind: str, judgments: Judgments, least: int, reason: str | None
) -> None:
    assert one(kind, judgments, min_judgments=least)["reason"] == reason


@pytest.mark.parametrize("kind", MEANS)
@pytest.mark.parametrize(
    ("judgments", "reason"),
    [
        ([0.6], None),
        ([0.4], None),
        ([0.59], "low_confidence"),
        ([0.41], "low_confidence"),
        ([0.75, 0.51], None),
        ([0.55, 0.6], "low_confidence"),
    ],
)
def test_confidence_is_that_of_the_mean_towards_either_side(
    kind: str, judgments: Judgments, reason: str | None
) -> None:
    assert one(kind, judgments, min_judgments=1, min_confidence=0.6)["reason"] == reason


def test_the_detail_says_who_said_what() -> None:
    assert one("scir", [0.91234, None, 0.25])["detail"] == "j0 0.912, j1 timeout, j2 0.25"


some = st.one_of(st.none(), st.floats(0, 1))
compared = st.lists(st.lists(some, min_size=3, max_size=3), min_size=1, max_size=4)
kinds = st.sampled_from(MEANS)
limits = st.fixed_dictionaries(
    {"min_judgments": st.integers(1, 3), "min_confidence": st.floats(0.5, 1)}
)


@settings(max_examples=60)
@given(kinds, limits, compared, st.randoms(use_true_random=False))
def test_the_order_of_judgments_changes_no_bit(
    kind: str, limit: dict[str, Any], judgments: list[Judgments], random: Any
) -> None:
    rows = table(*judgments)
    order = list(range(rows.height))
    random.shuffle(order)
    # By repr: NaN equals itself, and no bit is rounded away.
    assert repr(decide(kind, rows, **limit)) == repr(decide(kind, rows[order], **limit))


@settings(max_examples=80)
@given(kinds, limits, compared)
def test_a_label_is_sure_enough_and_a_missing_one_has_its_reason(
    kind: str, limit: dict[str, Any], judgments: list[Judgments]
) -> None:
    decided = decide(kind, table(*judgments), **limit)
    assert len(decided) == len(judgments)
    for row, given_ in zip(decided, judgments, strict=True):
        scored = [p for p in given_ if p is not None]
        if row["reason"] is None:
            mean = sum(scored) / len(scored)
            side = [p > 0.5 if mean > 0.5 else p < 0.5 for p in scored]
            assert row["preference"] == pytest.approx(mean)
            assert row["preference"] != 0.5
            assert max(mean, 1 - mean) >= limit["min_confidence"] - 1e-12
            assert len(scored) >= limit["min_judgments"]
            assert row["agreement"] == sum(side) / len(scored)
            assert kind == "mean" or all(side)
        elif row["reason"] == "too_few_judgments":
            assert len(scored) < limit["min_judgments"]
        elif row["reason"] == "disagreement":
            assert kind == "scir"
            assert len(set(scored)) > 1
            assert min(scored) <= 0.5 <= max(scored)
        else:
            assert row["reason"] in ("tie", "low_confidence")


@settings(max_examples=60)
@given(kinds, st.lists(st.integers(0, 64), min_size=1, max_size=4))
def test_looking_from_the_other_answer_mirrors_the_label(kind: str, parts: list[int]) -> None:
    # Multiples of 1/64 add up exactly.
    found, mirrored = (
        one(kind, [p / 64 for p in side], min_confidence=0.625)
        for side in (parts, [64 - p for p in parts])
    )
    assert found["reason"] == mirrored["reason"]
    assert found["preference"] == pytest.approx(1 - mirrored["preference"])
    if found["reason"] is None:
        assert found["agreement"] == mirrored["agreement"]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"kind": "vote"}, ["consensus.kind: 'vote' is unknown", "mean", "scir"]),
        ({"kind": "scir", "min_confidence": 0.4}, ["consensus", "min_confidence"]),
        ({"kind": "mean", "min_judgments": 0}, ["consensus", "min_judgments"]),
        ({"kind": "mean", "least": 1}, ["least: unknown key", "min_judgments"]),
    ],
    ids=["kind", "confidence", "judgments", "key"],
)
def test_a_wrong_consensus_is_refused(part: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        CONSENSUSES.parse(part, "consensus")
    assert all(text in str(caught.value) for text in says)


def test_judges_are_named_by_the_settings() -> None:
    part = CONSENSUSES.parse({"kind": "hierarchical", "criteria": [{"judge": "any"}]})
    assert part.judges() == ["any"]
