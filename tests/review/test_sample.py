"""Which comparisons people are shown."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from prefdata.records import Judgment, Label
from prefdata.records.base import fill_columns
from prefdata.review.agreement import measure_agreement
from prefdata.review.sample import draw_sample, measure_disagreement

A, B = "a" * 32, "b" * 32


def judge(prompt: int, judge: str, preference: float | None, **more: Any) -> dict[str, Any]:
    return {"prompt_id": f"{prompt:032x}", "response_a": A, "response_b": B, "judge": judge,
            "dimension": "helpfulness", "preference": preference, **more}  # fmt: skip


def measure(*rows: dict[str, Any], labels: dict[int, float] | None = None) -> dict[int, Any]:
    said = [
        {"prompt_id": f"{prompt:032x}", "response_a": A, "response_b": B, "preference": p}
        for prompt, p in (labels or {}).items()
    ]
    label_rows = fill_columns(pl.DataFrame(said), Label) if said else None
    found = measure_disagreement(fill_columns(pl.DataFrame(rows), Judgment), label_rows)
    return {int(row["prompt_id"], 16): row for row in found.to_dicts()}


def test_disagreement_is_the_chance_that_two_judges_differ() -> None:
    found = measure(
        *(judge(1, name, p) for name, p in (("x", 1.0), ("y", 1.0), ("z", 0.0))),
        *(judge(2, name, 0.5) for name in "xyz"),
        *(judge(3, name, 1.0) for name in "xyz"),
        judge(4, "x", 0.9),
        judge(5, "x", None),
        judge(6, "x", 1.0),
        judge(6, "human", 0.0, annotator="ann"),
        labels={1: 0.2, 3: 1.0},
    )
    wanted = {1: 2 / 3, 2: 0.5, 3: 0, 4: 0.18, 5: None, 6: 0}
    assert {n: row["disagreement"] for n, row in found.items()} == pytest.approx(wanted)
    assert {n: row["confidence"] for n, row in found.items() if row["confidence"]} == {
        1: 0.8,
        3: 1.0,
    }
    # People are no part of it: what they have judged is left out.
    assert [n for n, row in found.items() if row["by_people"]] == [6]


def make_measured(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"prompt_id": f"{n:032x}", "response_a": A, "response_b": B,
             "disagreement": None if n == 0 else n / count, "confidence": None}
            for n in range(count)
        ],
        schema_overrides={"confidence": pl.Float64},
    )  # fmt: skip


def test_the_sample_is_of_the_most_disagreed_on_and_of_chance() -> None:
    measured = make_measured(100)
    sample = draw_sample(measured, 20, 0.25, 4)
    once = sample.filter(~pl.col("is_repeat"))
    most = once.filter(stratum="disagreement")
    assert sorted(most["disagreement"].to_list()) == [n / 100 for n in range(85, 100)]
    assert set(most["probability"]) == {1.0}
    at_random = once.filter(stratum="random")
    assert at_random.height == 5
    assert set(at_random["probability"]) == {5 / 85}
    assert at_random["disagreement"].fill_null(0).max() < 0.85
    assert sample.height == 24
    assert sample.filter("is_repeat").join(once, on="prompt_id", how="semi").height == 4
    # The order of the rows chooses nothing, and neither do repeats.
    assert draw_sample(measured.reverse(), 20, 0.25, 4).equals(sample)
    assert draw_sample(measured, 20, 0.25, 0).equals(once)


@pytest.mark.parametrize(("size", "share", "wanted"), [(500, 0.2, 100), (1, 0, 1), (7, 1, 7)])
def test_samples_of_any_size(size: int, share: float, wanted: int) -> None:
    sample = draw_sample(make_measured(100), size, share, 1000)
    assert sample.filter(~pl.col("is_repeat")).height == wanted
    assert sample.filter("is_repeat").height == wanted
    assert sample["probability"].is_between(0, 1, closed="right").all()


def test_agreement_is_estimated_for_all_comparisons() -> None:
    """Of 100 comparisons people agree with the labels of 90: all but the most disagreed on."""
    measured = make_measured(100)
    sample = draw_sample(measured, 20, 0.5, 0)
    labels = fill_columns(measured.with_columns(preference=pl.lit(1.0)), Label)
    said = [
        {**row, "preference": 0.0 if row["stratum"] == "disagreement" else 1.0}
        for row in sample.to_dicts()
    ]
    drawn = {
        (row["prompt_id"], row["response_a"], row["response_b"]):
        (row["stratum"], row["probability"]) for row in said
    }  # fmt: skip
    found = measure_agreement(said, labels, drawn)
    assert (found.compared, found.agreed) == (20, 10)
    assert found.estimate == pytest.approx(0.9)
    assert "90%" in "\n".join(found.lines())
    # Without a random share, or a chance, nothing can be said of the others.
    certain = {key: value for key, value in drawn.items() if value[0] == "disagreement"}
    assert measure_agreement(said, labels, certain).estimate is None
