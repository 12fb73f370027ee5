"""At most so many pairs: exactly so many where there are more, whatever their order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest
from filters.bucket import build, no_models, pairs, texts
from hypothesis import given
from hypothesis import strategies as st

from prefdata.errors import ConfigError


def limited(buckets: list[pl.DataFrame], most_rows: int = 1, **config: Any) -> pl.DataFrame:
    """What the filter says of all pairs, bucket by bucket as a pipeline does."""
    made = build("limit", **config)
    measured = [made.measure(b, texts({}), no_models()) for b in buckets]
    assert all(m["fault"].null_count() == m.height for m in measured)
    summary = made.merge([made.summarize(m) for m in measured])
    assert summary.height <= most_rows
    return pl.concat([made.decide(m.drop("fault"), summary) for m in measured])


def list_passed(decided: pl.DataFrame) -> list[str]:
    return sorted(decided.filter(pl.col("reason").is_null())["pair_id"])


MADE = pairs(
    ("a", "b", "p"),
    ("c", "d", "p"),
    ("e", "f", "p"),
    ("g", "h", "q"),
    ("i", "j", "r"),
    soft_labels=[0.9, 0.95, 0.7, 0.6, 0.8],
)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"per_prompt": 1}, ["p:c>d", "q:g>h", "r:i>j"]),
        ({"per_prompt": 2}, ["p:a>b", "p:c>d", "q:g>h", "r:i>j"]),
        ({"pairs": 1}, ["p:c>d"]),
        # Every prompt's best before any prompt's second.
        ({"pairs": 3}, ["p:c>d", "q:g>h", "r:i>j"]),
        ({"pairs": 4}, ["p:a>b", "p:c>d", "q:g>h", "r:i>j"]),
        ({"per_prompt": 1, "pairs": 2}, ["p:c>d", "r:i>j"]),
        ({"pairs": 99}, sorted(MADE["pair_id"])),
    ],
    ids=str,
)
def test_the_most_decided_stay(config: dict[str, int], wanted: list[str]) -> None:
    decided = limited([MADE], **config)
    assert list_passed(decided) == wanted
    assert set(decided["reason"].drop_nulls()) <= {"surplus"}


def test_equals_go_by_content_id() -> None:
    same = pairs(("a", "b", "p"), ("c", "d", "q"), ("e", "f", "r"), soft_labels=[0.8, 0.8, 0.8])
    assert list_passed(limited([same.reverse()], pairs=2)) == ["p:a>b", "q:c>d"]
    near = same.with_columns(soft_label=pl.Series([0.8, 0.8 + 1e-15, 0.8]))
    assert list_passed(limited([near], pairs=1)) == ["p:a>b"]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(51, 99)), max_size=30),
    st.one_of(st.none(), st.integers(1, 4)),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_exactly_so_many_whatever_the_order_and_the_bucketing(
    made: list[tuple[int, int]], per_prompt: int | None, most: int, random: Any
) -> None:
    rows = pairs(
        *((f"{n}", "x", f"p{prompt}") for n, (prompt, _) in enumerate(made)),
        soft_labels=[label / 100 for _, label in made],
    )
    config = {"per_prompt": per_prompt, "pairs": most}
    wanted = list_passed(limited([rows], **config))
    per = Counter(prompt for prompt, _ in made)
    assert len(wanted) == min(most, sum(min(n, per_prompt or n) for n in per.values()))
    shuffled = rows[random.sample(range(rows.height), rows.height)]
    buckets = [shuffled.filter(pl.col("prompt_id").is_in([f"p{n}", f"p{n + 2}"])) for n in (0, 1)]
    buckets.append(shuffled.filter(pl.col("prompt_id") == "p4"))
    assert list_passed(limited(buckets, **config)) == wanted


POLICY = st.sampled_from("abc")


def take_greedily(rows: pl.DataFrame, per_policy: int, pairs: int | None) -> list[str]:
    """What a loop over all pairs takes, every prompt's best before any prompt's second."""
    ranks: Counter[str] = Counter()
    ordered = []
    for row in rows.sort("soft_label", "pair_id", descending=[True, False]).to_dicts():
        ordered.append((ranks[row["prompt_id"]], -row["soft_label"], row["pair_id"], row))
        ranks[row["prompt_id"]] += 1
    counts: Counter[str] = Counter()
    taken = []
    for *_, row in sorted(ordered, key=lambda each: each[:3]):
        policies = {row["chosen_policy"], row["rejected_policy"]}
        if all(counts[policy] < per_policy for policy in policies):
            counts.update(policies)
            taken.append(row["pair_id"])
    return sorted(taken[:pairs])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(51, 60), POLICY, POLICY), max_size=30),
    st.integers(1, 4),
    st.one_of(st.none(), st.integers(1, 9)),
    st.randoms(use_true_random=False),
)
def test_no_policy_has_more_pairs_whatever_the_order_and_the_bucketing(
    made: list[tuple[int, int, str, str]], per_policy: int, most: int | None, random: Any
) -> None:
    rows = pairs(
        *((f"{n}", "x", f"p{prompt}") for n, (prompt, *_) in enumerate(made)),
        soft_labels=[label / 100 for _, label, *_ in made],
    ).with_columns(
        chosen_policy=pl.Series([one for *_, one, _ in made], dtype=pl.String),
        rejected_policy=pl.Series([other for *_, other in made], dtype=pl.String),
    )
    config = {"per_policy": per_policy, "pairs": most}
    wanted = take_greedily(rows, per_policy, most)
    assert list_passed(limited([rows], most_rows=9, **config)) == wanted
    shuffled = rows[random.sample(range(rows.height), rows.height)]
    buckets = [shuffled.filter(pl.col("prompt_id").is_in([f"p{n}", f"p{n + 2}"])) for n in (0, 1)]
    buckets.append(shuffled.filter(pl.col("prompt_id") == "p4"))
    assert list_passed(limited(buckets, most_rows=9, **config)) == wanted


@pytest.mark.parametrize(
    "config", [{}, {"pairs": 0}, {"per_prompt": 0}, {"per_policy": 0}, {"most": 1}], ids=str
)
def test_a_wrong_limit_is_refused(config: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        build("limit", **config)
