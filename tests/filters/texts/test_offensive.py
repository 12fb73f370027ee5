"""Offensive language: the probability decides."""

from __future__ import annotations

import pytest
from filters.bucket import build, pairs, run_filter, texts


@pytest.fixture(autouse=True)
def profanity_check() -> None:
    pytest.importorskip("profanity_check")


def reasons(**config: float) -> dict[str, tuple[str | None, str | None]]:
    responses = {"a": "You are a fucking idiot.", "b": "Have a nice day.", "c": ""}
    some = pairs(*((name, "b", "p") for name in responses))
    found = run_filter(build("offensive", **config), [(some, texts(responses))]).pairs
    return {row["chosen_id"]: (row["reason"], row["detail"]) for row in found.to_dicts()}


def test_insults_go_with_their_probability() -> None:
    found = reasons()
    reason, detail = found.pop("a")
    assert reason == "offensive_chosen"
    assert detail is not None
    value, limit = detail.removeprefix("offensive with probability ").split(", ")
    assert 0.9 < float(value) <= 1
    assert limit == "max_probability 0.8"
    assert set(found.values()) == {(None, None)}


def test_the_limit_decides() -> None:
    assert {reason for reason, _ in reasons(max_probability=0).values()} == {"offensive_chosen"}
