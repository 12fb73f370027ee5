"""Trigram hashes, sketches and their Jaccard similarity, against plain sets."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.text import shingles as shingle_module
from prefdata.text.shingles import shingles, sketch_similarity, sketches, trigram_similarity


def trigrams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\u4e00-\u9fff\u3040-\u30ff]|\w+", text.lower()) or [text.strip()]
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def plain(one: str, other: str) -> float:
    return len(trigrams(one) & trigrams(other)) / len(trigrams(one) | trigrams(other))


def similarity(left: list[str], right: list[str]) -> list[float]:
    rows = np.arange(len(left))
    sides = [sketches(shingles(pl.Series(side, dtype=pl.String))) for side in (left, right)]
    return sketch_similarity(sides[0], sides[1], np.stack([rows, rows], axis=1)).tolist()


some_text = st.lists(st.sampled_from(["a", "B", "b", "ä", "7", "?", "一", "二"]), max_size=12).map(
    " ".join
)


@settings(max_examples=60)
@given(st.lists(st.tuples(some_text, some_text), min_size=1, max_size=6))
def test_similarity_is_that_of_plain_sets_of_trigrams(pairs: list[tuple[str, str]]) -> None:
    left, right = [one for one, _ in pairs], [other for _, other in pairs]
    assert similarity(left, right) == pytest.approx([plain(*both) for both in pairs])
    exact = trigram_similarity(pl.Series(left), pl.Series(right))
    assert exact.to_list() == pytest.approx([plain(*both) for both in pairs])


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("one two three four", "One, TWO - three: four!", 1),
        ("a b c d e", "a b c d e f", 3 / 4),
        ("a b c a b c a b c", "a b c a b c", 1),
        ("a b c", "c b a", 0),
        ("今天天气很好", "今天天气很坏", 3 / 5),
        ("hello", "HELLO", 1),
        ("a b", "b a", 0),
        ("", "", 1),
        ("?", "!", 0),
        ("", "a", 0),
        (" \n", "", 1),
    ],
)
def test_similarity_by_hand(left: str, right: str, expected: float) -> None:
    assert similarity([left], [right]) == pytest.approx([expected])
    assert similarity([right], [left]) == pytest.approx([expected])


def test_a_text_of_an_articles_length_is_compared_exactly() -> None:
    draw = random.Random(4)
    shared = [f"w{draw.randrange(10**6)}" for _ in range(4000)]
    for extra in range(900, 1100, 20):
        one, other = " ".join(shared), " ".join([*shared, *(f"x{n}" for n in range(extra))])
        assert similarity([one], [other]) == [pytest.approx(plain(one, other), abs=1e-12)]


def test_a_longer_text_is_estimated_from_its_least_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 1024
    monkeypatch.setattr(shingle_module, "SKETCH", size)
    draw = random.Random(5)
    errors = []
    for _ in range(30):
        shared = [f"w{draw.randrange(10**6)}" for _ in range(4 * size)]
        one, other = (
            " ".join([*shared, *(f"x{draw.randrange(10**6)}" for _ in range(n))])
            for n in (size, 100)
        )
        exact = trigram_similarity(pl.Series([one]), pl.Series([other])).item()
        assert exact == pytest.approx(plain(one, other))
        errors.append(similarity([one], [other])[0] - exact)
    assert abs(np.mean(errors)) < 0.01
    assert 0 < np.std(errors) < 0.016
    assert sketches(shingles(pl.Series([one]))).lengths.tolist() == [size]


def test_no_texts() -> None:
    found = shingles(pl.Series([], dtype=pl.String))
    assert len(found.lengths) == len(found.values) == 0
    assert similarity([], []) == []


def test_the_hashes_are_the_same_in_another_process() -> None:
    """Or worker processes would never find each other's duplicates."""
    code = (
        "import polars as pl; from prefdata.text.shingles import shingles;"
        "print(shingles(pl.Series(['one two three four', '', 'a'])).values.tolist())"
    )
    here = shingles(pl.Series(["one two three four", "", "a"])).values.tolist()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        assert done.stdout.strip() == str(here)
