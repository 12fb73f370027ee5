"""MinHash, its groups, and which of several near-duplicate prompts stays."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import polars as pl
import pytest
from filters.bucket import nobody, pairs, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.filters.minhash import BANDS, PERMUTATIONS, bands, groups, signature
from prefdata.filters.near_duplicate_prompts import NearDuplicatePrompts


def trigrams(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}


def jaccard(one: str, other: str) -> float:
    return len(trigrams(one) & trigrams(other)) / len(trigrams(one) | trigrams(other))


def words(rng: random.Random, count: int) -> list[str]:
    return [f"w{rng.randrange(10_000)}" for _ in range(count)]


def test_the_share_of_equal_entries_estimates_the_jaccard_similarity() -> None:
    rng = random.Random(1)
    errors = []
    for _ in range(150):
        shared, one, other = words(rng, rng.randrange(5, 120)), words(rng, 40), words(rng, 40)
        left, right = " ".join(shared + one), " ".join(shared + other)
        estimate = np.mean(signature(left) == signature(right))
        errors.append(estimate - jaccard(left, right))
    # An estimate from 128 draws has a standard deviation of at most 0.044.
    assert abs(np.mean(errors)) < 0.015
    assert np.std(errors) < 0.055
    assert np.abs(errors).max() < 0.2


@given(st.lists(st.sampled_from("abc"), min_size=3, max_size=12))
def test_a_signature_is_that_of_the_words_alone(letters: list[str]) -> None:
    plain, other = " ".join(letters), "  ".join(letters).upper() + "?!"
    assert signature(plain).shape == (PERMUTATIONS,)
    assert np.array_equal(signature(plain), signature(other))


def test_texts_without_words_are_told_apart() -> None:
    found = [signature(text) for text in ("?", "!", "", "👍", "one", "one two")]
    assert len({s.tobytes() for s in found}) == len(found)


def test_a_band_is_known_by_its_number_and_its_rows() -> None:
    values = np.arange(PERMUTATIONS, dtype=np.uint64)
    assert len(set(bands(values))) == BANDS
    assert len(set(bands(np.zeros_like(values)))) == BANDS
    changed = values.copy()
    changed[0] += 1
    assert [a != b for a, b in zip(bands(values), bands(changed), strict=True)].count(True) == 1


def brute_force(signatures: list[np.ndarray], threshold: float) -> list[int]:
    """Connected components over all pairs, named by their first member."""
    first = list(range(len(signatures)))
    changed = True
    while changed:
        changed = False
        for i, one in enumerate(signatures):
            for j, other in enumerate(signatures):
                if np.mean(one == other) >= threshold and first[i] < first[j]:
                    first[j], changed = first[i], True
    return first


def test_groups_equal_those_of_comparing_all_with_all() -> None:
    rng = random.Random(2)
    made: list[str] = []
    for _ in range(12):
        base = words(rng, 60)
        made.append(" ".join(base))
        for changes in rng.sample([0, 1, 2, 4, 8, 20, 40], rng.randrange(1, 6)):
            variant = list(base)
            for position in rng.sample(range(60), changes):
                variant[position] = words(rng, 1)[0]
            made.append(" ".join(variant))
    rng.shuffle(made)
    signatures = [signature(text) for text in made]
    for threshold in (0.7, 0.8, 0.9, 1.0):
        found = groups(signatures, threshold)
        assert found == brute_force(signatures, threshold)
        assert 1 < len(set(found)) < len(found)


def test_a_duplicate_is_found_past_what_only_shares_some_of_its_bands() -> None:
    """Positions 0 and 2 are alike; 1 stands between them in every band that all three share."""
    one = np.arange(PERMUTATIONS, dtype=np.uint64)
    between, other = one.copy(), one.copy()
    between[80:] += 1000
    other[80::4] += 2000
    assert np.mean(one == other) >= 0.8 > max(np.mean(one == between), np.mean(other == between))
    assert groups([one, between, other], 0.8) == [0, 1, 0]


def test_no_prompts_make_no_groups() -> None:
    assert groups([], 0.8) == []


PROMPTS = {f"{n:x}" * 32: " ".join(words(random.Random(n), 40)) for n in range(1, 7)}
IDS = list(PROMPTS)
DUPLICATES = {IDS[3]: PROMPTS[IDS[0]] + " please", IDS[5]: PROMPTS[IDS[0]].upper()}
ALL = {**PROMPTS, **DUPLICATES}
LABELS = {IDS[0]: 0.7, IDS[1]: 0.9, IDS[2]: 0.6, IDS[3]: 0.95, IDS[4]: 0.6, IDS[5]: 0.8}


def dropped(buckets: list[list[str]], order: list[int], **config: float) -> dict[str, str]:
    """Prompt -> detail of each pair that goes, with the prompts in these buckets."""
    step = NearDuplicatePrompts(config, "filter.filters.0")
    measured = []
    for bucket in buckets:
        # Two pairs of each prompt: the best one speaks for it.
        some = pairs(
            *((f"{p}{side}", f"{p}z", p) for p in bucket for side in "ab"),
            soft_labels=[label for p in bucket for label in (0.55, LABELS[p])],
        )
        measured.append(step.measure(some, texts({}, {p: ALL[p] for p in bucket}), nobody()))
        assert measured[-1]["pair_id"].equals(some["pair_id"])
    summaries = [step.summarize(frame) for frame in measured]
    summary = step.merge([summaries[i] for i in order])
    decided = pl.concat([step.decide(frame, summary) for frame in measured])
    assert "signature" not in decided.columns
    assert decided.height == 2 * len(LABELS)
    gone = decided.filter(pl.col("reason").is_not_null())
    assert (gone["reason"] == "near_duplicate_prompt").all()
    assert gone.height == 2 * gone["prompt_id"].n_unique()
    return dict(gone.select("prompt_id", "detail").iter_rows())


def test_of_a_group_the_prompt_with_the_most_decided_pair_stays() -> None:
    found = dropped([IDS], [0])
    assert set(found) == {IDS[0], IDS[5]}
    assert set(found.values()) == {f"like prompt {IDS[3]}, which stays"}


@settings(max_examples=25, deadline=None)
@given(st.permutations(IDS), st.lists(st.integers(1, 5), max_size=3), st.randoms())
def test_neither_buckets_nor_their_order_change_what_stays(
    prompts: list[str], cuts: list[int], random: random.Random
) -> None:
    edges = [0, *sorted(set(cuts)), len(prompts)]
    buckets = [prompts[a:b] for a, b in itertools.pairwise(edges)]
    order = random.sample(range(len(buckets)), len(buckets))
    assert dropped(buckets, order) == dropped([IDS], [0])


def test_equal_labels_leave_the_first_id(monkeypatch: pytest.MonkeyPatch) -> None:
    for prompt in IDS:
        monkeypatch.setitem(LABELS, prompt, 0.75)
    assert set(dropped([IDS[::-1]], [0])) == {IDS[3], IDS[5]}


def test_the_limit_says_how_alike_is_too_alike() -> None:
    estimate = np.mean(signature(ALL[IDS[0]]) == signature(ALL[IDS[3]]))
    assert 0.8 < estimate < 1
    assert set(dropped([IDS], [0], max_similarity=1.0)) == {IDS[0]}
