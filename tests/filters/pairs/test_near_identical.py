"""Near-identical responses: the similarity against hand cases and a plain Python one."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest
from filters.bucket import build, no_models, pairs, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.text.shingles import trigram_similarity


def similarity(left: str, right: str) -> float:
    value = trigram_similarity(pl.Series([left]), pl.Series([right])).item()
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("one two three four", "one two three four", 1),
        ("one two three four", "one two three five", 1 / 3),
        ("a b c d e", "a b c d e f", 3 / 4),
        ("a b c a b c a b c", "a b c a b c", 1),  # distinct trigrams alone count
        ("One TWO Three", "one two three", 1),
        ("ÄRGER über alles", "ärger ÜBER alles", 1),
        ("one  two\n\tthree", "one two three", 1),
        ("one two three", "three two one", 0),
        ("yes", "Yes", 1),
        ("yes", "no", 0),
        ("yes indeed", "yes indeed", 1),
        ("yes indeed", "yes", 0),
        ("yes", "yes yes yes", 0),
        ("", "", 1),
        ("", "yes", 0),
        (" \n", "", 1),
        ("One, two: three!", "one two three", 1),  # punctuation is no word
        ("?", "!", 0),
    ],
)
def test_similarity_is_the_share_of_distinct_word_trigrams(
    left: str, right: str, expected: float
) -> None:
    assert similarity(left, right) == pytest.approx(expected)
    assert similarity(right, left) == pytest.approx(expected)


def plain_trigrams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower()) or [text.strip()]
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def plain_jaccard(left: str, right: str) -> float:
    one, other = plain_trigrams(left), plain_trigrams(right)
    return len(one & other) / len(one | other)


some_texts = st.lists(
    st.sampled_from(["a", "A", "b", "c", "ä", "a-b", "7", "。"]), max_size=9
).flatmap(lambda words: st.sampled_from([" ", "  ", "\n", "\t "]).map(lambda gap: gap.join(words)))


@settings(max_examples=80)
@given(st.lists(st.tuples(some_texts, some_texts), max_size=8))
def test_similarity_equals_the_plain_one_row_by_row(compared: list[tuple[str, str]]) -> None:
    left = pl.Series([one for one, _ in compared], dtype=pl.String)
    right = pl.Series([other for _, other in compared], dtype=pl.String)
    found = trigram_similarity(left, right)
    assert found.to_list() == pytest.approx([plain_jaccard(*texts) for texts in compared])


def decided(similarity_limit: float | None, *compared: tuple[str, str]) -> list[dict[str, Any]]:
    responses = {
        f"r{n}{side}": text
        for n, both in enumerate(compared)
        for side, text in zip("ab", both, strict=True)
    }
    some = pairs(*((f"r{n}a", f"r{n}b", f"p{n}") for n in range(len(compared))))
    config = {} if similarity_limit is None else {"max_similarity": similarity_limit}
    step = build("near_identical", **config)
    measured = step.measure(some, texts(responses), no_models())
    assert measured["pair_id"].equals(some["pair_id"])
    assert measured["fault"].null_count() == some.height
    return step.decide(measured).to_dicts()


def test_pairs_above_the_limit_go_and_those_at_it_stay() -> None:
    compared = [("a b c d e", "a b c d e f"), ("a b c", "a b c"), ("yes", "no")]
    rows = decided(0.75, *compared)
    assert [row["reason"] for row in rows] == [None, "near_identical_responses", None]
    assert [row["similarity"] for row in rows] == pytest.approx([0.75, 1, 0])
    assert rows[1]["detail"] == "similarity 1.0, max_similarity 0.75"


def test_by_default_only_what_is_almost_the_same_goes() -> None:
    words = [f"w{i}" for i in range(60)]
    close = " ".join(words), " ".join([*words, "end"])
    rows = decided(None, close, ("one two three four", "one two three five"))
    assert [row["reason"] for row in rows] == ["near_identical_responses", None]
