"""Repetition: the share of repeated trigrams, against a plain count."""

from __future__ import annotations

from typing import Any

import pytest
from filters.bucket import build, pairs, run_filter, texts
from hypothesis import given, settings
from hypothesis import strategies as st


def decided(responses: list[str], **config: Any) -> list[tuple[str | None, str | None]]:
    named = {f"a{n}": text for n, text in enumerate(responses)} | {"z": "Fine."}
    some = pairs(*((f"a{n}", "z", "p") for n in range(len(responses))))
    return run_filter(build("repetition", **config), [(some, texts(named))]).details()


LOOP = "the response is " * 10
PLAIN = " ".join(f"word{n}" for n in range(30))


def test_a_loop_goes_and_its_share_is_said() -> None:
    # 30 words, 28 trigrams, 3 different ones.
    says = f"{round(25 / 28, 4)} of its word trigrams repeat, max_repeated 0.5"
    assert decided([LOOP, PLAIN]) == [("repetitive_chosen", says), (None, None)]


def test_a_short_text_is_not_looked_at() -> None:
    assert decided(["no no no no no no"])[0][0] is None
    assert decided(["no no no no no no"], min_words=6)[0][0] == "repetitive_chosen"
    assert decided(["", "?"], min_words=3) == [(None, None)] * 2


@settings(max_examples=50)
@given(st.lists(st.sampled_from("abc"), min_size=3, max_size=30), st.floats(0, 0.99))
def test_the_share_is_that_of_a_plain_count(words: list[str], limit: float) -> None:
    trigrams = [tuple(words[n : n + 3]) for n in range(len(words) - 2)]
    share = 1 - len(set(trigrams)) / len(trigrams)
    ((reason, detail),) = decided([" ".join(words)], min_words=3, max_repeated=limit)
    assert (reason == "repetitive_chosen") == (share > limit)
    if detail:
        assert float(detail.split(" ")[0]) == pytest.approx(share, abs=1e-4)
