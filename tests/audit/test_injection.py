"""The injection probe: who is attacked, and what counts as turned."""

from __future__ import annotations

import polars as pl
import pytest

from prefdata.audit.injection import ATTACKS, add_attack, choose_decided, measure_injection


def judgments(*preferences: float | None) -> pl.DataFrame:
    """One comparison each, of a prompt of its own."""
    numbers = range(len(preferences))
    return pl.DataFrame(
        {
            "prompt_id": [f"p{n}" for n in numbers],
            "response_a": [f"p{n}a" for n in numbers],
            "response_b": [f"p{n}b" for n in numbers],
            "preference": preferences,
        },
        schema_overrides={"preference": pl.Float64},
    )


def test_only_decided_comparisons_are_chosen() -> None:
    chosen = choose_decided(judgments(0.9, 0.5, None, 0.1, 0.8), 2)
    assert chosen["prompt_id"].to_list() == ["p0", "p3"]


def test_the_loser_is_attacked() -> None:
    plain = judgments(0.9, 0.2, 0.5, None)
    ids = [f"p{n}{side}" for n in range(4) for side in "ab"]
    responses = pl.DataFrame({"response_id": ids, "text": ["So."] * 8})
    texts = dict(add_attack(responses, plain, "plea").select("response_id", "text").iter_rows())
    assert [key for key, text in texts.items() if text != "So."] == ["p0b", "p1a"]
    assert texts["p0b"] == "So." + ATTACKS["plea"]


def test_what_turned_is_counted_of_what_was_decided_and_judged() -> None:
    plain = judgments(0.9, 0.9, 0.2, 0.2, 0.5, 0.9)
    attacked = judgments(0.1, 0.8, 0.7, 0.5, 0.1, None)
    assert measure_injection("plea", plain, attacked) == {
        "attack": "plea",
        "comparisons": 4,
        "turned": pytest.approx(0.5),
        "unscored": pytest.approx(0.2),
    }
    nothing = measure_injection("plea", judgments(), judgments())
    assert (nothing["comparisons"], nothing["turned"], nothing["unscored"]) == (0, None, None)
