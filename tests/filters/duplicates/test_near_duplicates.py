"""Near-duplicates: the groups, which of them stays, and what the dropped record says."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import numpy as np
import polars as pl
import pytest
from filters.bucket import Decided, build, figures, pairs, run_filter, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.filters.base import Texts
from prefdata.filters.duplicates import near_duplicates
from prefdata.filters.duplicates.components import find_components, join_components


def trigrams(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def jaccard(one: str, other: str) -> float:
    return len(trigrams(one) & trigrams(other)) / len(trigrams(one) | trigrams(other))


def words(draw: random.Random, count: int) -> list[str]:
    return [f"w{draw.randrange(10_000)}" for _ in range(count)]


def filter_(**config: Any) -> Any:
    return build("near_duplicates", **config)


Bucket = tuple[pl.DataFrame, Texts]


def bucket(prompts: dict[str, str], margins: dict[str, float]) -> Bucket:
    """Two pairs of each prompt, the better of which has the margin given for it."""
    some = pairs(*((f"{p}{side}", f"{p}z", p) for p in prompts for side in "ab"))
    values = [v for p in prompts for v in (margins[p] - 1, margins[p])]
    return some.with_columns(margin=pl.Series(values, dtype=pl.Float64)), texts({}, prompts)


def spread(prompts: dict[str, str], margins: dict[str, float], cuts: list[int]) -> list[Bucket]:
    """The prompts, sorted by id as in a table, cut into buckets."""
    rows = sorted(prompts.items())
    edges = [0, *sorted(set(cuts)), len(rows)]
    return [bucket(dict(rows[a:b]), margins) for a, b in itertools.pairwise(edges)]


PROMPTS = {f"{n:x}" * 32: " ".join(words(random.Random(n), 40)) for n in range(1, 7)}
IDS = list(PROMPTS)
ALL = {**PROMPTS, IDS[3]: PROMPTS[IDS[0]] + " please", IDS[5]: PROMPTS[IDS[0]].upper() + "?!"}
MARGINS = dict(zip(IDS, [0.7, 0.9, 0.6, 0.95, 0.6, 0.8], strict=True))


def dropped(decided: Decided) -> dict[str, str]:
    """Prompt -> detail of the pairs that go."""
    gone = decided.pairs.filter(pl.col("reason").is_not_null())
    assert (gone["reason"] == "near_duplicate_prompt").all()
    assert gone.height == 2 * gone["prompt_id"].n_unique()
    return dict(gone.select("prompt_id", "detail").iter_rows())


def test_of_a_group_the_prompt_with_the_largest_margin_stays() -> None:
    assert jaccard(ALL[IDS[0]], ALL[IDS[3]]) == 38 / 39
    found = dropped(run_filter(filter_(), spread(ALL, MARGINS, [])))
    says = "trigram similarity {} to {}, 0.8 counts as a duplicate; {} stays by margin 0.95"
    assert found == {
        IDS[0]: says.format("1.0", IDS[5], IDS[3]),
        IDS[5]: says.format("1.0", IDS[0], IDS[3]),
    }


@settings(max_examples=25)
@given(st.lists(st.integers(1, 5), max_size=5), st.integers(0, 1000))
def test_neither_buckets_nor_the_order_of_arrival_change_what_stays(
    cuts: list[int], seed: int
) -> None:
    one = run_filter(filter_(), spread(ALL, MARGINS, []))
    cut = run_filter(filter_(), spread(ALL, MARGINS, cuts), seed=seed)
    assert cut.pairs.equals(one.pairs)
    assert cut.summary is not None
    assert cut.summary.equals(one.summary)


def test_equal_scores_are_decided_by_the_text_and_then_the_id() -> None:
    """So that the ids, which hold the model and the sample for responses, come last."""
    equal = dict.fromkeys(IDS, 0.5)
    swapped = {**ALL, IDS[0]: ALL[IDS[3]], IDS[3]: ALL[IDS[0]]}
    stays = []
    for prompts in (ALL, swapped):
        gone = dropped(run_filter(filter_(), spread(prompts, equal, [])))
        (winner,) = {IDS[0], IDS[3], IDS[5]} - set(gone)
        stays.append(prompts[winner])
    assert stays[0] == stays[1]
    same = {**PROMPTS, IDS[4]: PROMPTS[IDS[1]]}
    assert set(dropped(run_filter(filter_(), spread(same, equal, [])))) == {IDS[4]}


def test_without_margins_the_most_decided_pair_decides() -> None:
    some, asked = bucket({p: ALL[p] for p in IDS}, MARGINS)
    nothing = pl.lit(None, dtype=pl.Float64)
    labels = pl.Series([0.6, 0.6, *[0.7] * 8, 0.6, 0.9])
    unscored = some.with_columns(margin=nothing, soft_label=labels)
    decided = run_filter(filter_(), [(unscored, asked)])
    assert set(dropped(decided)) == {IDS[0], IDS[3]}
    by_label = run_filter(filter_(best_by="soft_label"), [(unscored, asked)])
    assert all(d.endswith("stays by soft_label 0.9") for d in dropped(by_label).values())
    assert all(d.endswith(f"{IDS[5]} stays") for d in dropped(decided).values())


def test_the_limit_is_the_exact_similarity_and_counts_as_a_duplicate() -> None:
    exact = 38 / 39
    at = run_filter(filter_(max_similarity=exact), spread(ALL, MARGINS, [3]))
    above = run_filter(filter_(max_similarity=exact + 1e-9), spread(ALL, MARGINS, [3]))
    assert set(dropped(at)) == {IDS[0], IDS[5]}
    assert set(dropped(above)) == {IDS[0]}


@pytest.mark.parametrize(("over", "left"), [("chosen", "chosen"), ("rejected", "rejected")])
def test_responses_are_compared_across_prompts(over: str, left: str) -> None:
    draw = random.Random(9)
    responses = {name: " ".join(words(draw, 30)) for name in ("a1", "a2", "a3", "z1", "z2", "z3")}
    responses["a3"], responses["z2"] = responses["a1"] + " indeed", responses["z1"]
    some = pairs(("a1", "z1", "p"), ("a2", "z2", "p"), ("a3", "z3", "p"), ("a1", "z3", "p"))
    some = some.with_columns(margin=pl.Series([0.5, 0.4, 0.9, 0.1]))
    decided = run_filter(filter_(over=over), [(some, texts(responses))])
    # A response that is in several pairs is no duplicate of itself.
    gone = {"chosen": {"p:a1>z1", "p:a1>z3"}, "rejected": {"p:a2>z2"}}[over]
    reasons = decided.reasons()
    assert {pair for pair, reason in reasons.items() if reason} == gone
    assert {r for r in reasons.values() if r} == {f"near_duplicate_{left}"}


def brute_force(made: list[str], limit: float) -> list[int]:
    """Connected components over all pairs, named by their first member."""
    first = list(range(len(made)))
    alike = [
        (i, j)
        for i, j in itertools.combinations(range(len(made)), 2)
        if jaccard(made[i], made[j]) >= limit
    ]
    for _ in made:
        for i, j in alike:
            first[i] = first[j] = min(first[i], first[j])
    return first


@pytest.mark.parametrize("limit", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_groups_equal_those_of_comparing_all_with_all(limit: float) -> None:
    draw = random.Random(2)
    made: list[str] = []
    for _ in range(12):
        base = words(draw, 60)
        made.append(" ".join(base))
        for changes in (0, 1, 2, 3, 5, 8):
            variant = list(base)
            for position in draw.sample(range(60), changes):
                variant[position] = words(draw, 1)[0]
            made.append(" ".join(variant))
    draw.shuffle(made)
    prompts = {f"{n:032x}": text for n, text in enumerate(made)}
    margins = {p: 1 - n / 1000 for n, p in enumerate(prompts)}
    decided = run_filter(filter_(max_similarity=limit), spread(prompts, margins, [9, 30, 31, 70]))
    firsts = brute_force(made, limit)
    # The margins fall with the position: the first of each group is the one that stays.
    gone = dropped(decided)
    assert sorted(gone) == [p for n, p in enumerate(prompts) if firsts[n] != n]
    for n, prompt in enumerate(prompts):
        if prompt in gone:
            assert f"; {firsts[n]:032x} stays" in gone[prompt]
            value, nearest = re.findall(r"similarity (\S+) to (\w+),", gone[prompt])[0]
            assert float(value) == round(jaccard(made[n], prompts[nearest]), 4) >= round(limit, 4)
    assert 1 < len(set(firsts)) < len(firsts)


def test_nothing_alike_drops_nothing() -> None:
    decided = run_filter(filter_(), spread(PROMPTS, MARGINS, [3]))
    assert dropped(decided) == {}
    assert figures(filter_(), decided) == {"groups": 0, "duplicates": 0}


def test_the_figures_count_groups_and_duplicates() -> None:
    decided = run_filter(filter_(), spread(ALL, MARGINS, [2]))
    assert figures(filter_(), decided) == {"groups": 1, "duplicates": 2}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_components_are_named_by_their_least_node(edges: list[tuple[int, int]]) -> None:
    least = list(range(31))
    for _ in range(31):
        for a, b in edges:
            least[a] = least[b] = min(least[a], least[b])
    one, other = (np.array([e[side] for e in edges], dtype=np.int64) for side in (0, 1))
    assert find_components(one, other, 31).tolist() == least
    label = np.arange(31)
    used = join_components(one, other, label)
    assert label.tolist() == least
    assert find_components(one[used], other[used], 31).tolist() == least
    assert len(used) == 31 - len(set(least))


def test_a_crowd_of_variants_is_one_group_without_comparing_all_with_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count, base = 3000, words(random.Random(4), 60)
    made = {
        f"{n:032x}": " ".join([*base[: n % 60], f"v{n}", *base[n % 60 + 1 :]]) for n in range(count)
    }
    compared = []
    plain = near_duplicates.sketch_similarity

    def counting(left: Any, right: Any, rows: np.ndarray) -> np.ndarray:
        compared.append(len(rows))
        return plain(left, right, rows)

    monkeypatch.setattr(near_duplicates, "sketch_similarity", counting)
    margins = {p: 1 - n / count for n, p in enumerate(made)}
    gone = dropped(run_filter(filter_(), spread(made, margins, [700, 2000])))
    assert sorted(gone) == sorted(made)[1:]
    # 37 a text; all that share a band would be nearly all, 1,500 a text.
    assert count <= sum(compared) < 50 * count
