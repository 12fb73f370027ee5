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


def limited(buckets: list[pl.DataFrame], **config: Any) -> pl.DataFrame:
    """What the filter says of all pairs, bucket by bucket as a pipeline does."""
    made = build("limit", **config)
    measured = [made.measure(b, texts({}), no_models()) for b in buckets]
    assert all(m["fault"].null_count() == m.height for m in measured)
    summary = made.merge([made.summarize(m) for m in measured])
    assert summary.height <= 1
    return pl.concat([made.decide(m.drop("fault"), summary) for m in measured])


def kept(decided: pl.DataFrame) -> list[str]:
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
    assert kept(decided) == wanted
    assert set(decided["reason"].drop_nulls()) <= {"surplus"}


def test_equals_go_by_content_id() -> None:
    same = pairs(("a", "b", "p"), ("c", "d", "q"), ("e", "f", "r"), soft_labels=[0.8, 0.8, 0.8])
    assert kept(limited([same.reverse()], pairs=2)) == ["p:a>b", "q:c>d"]
    near = same.with_columns(soft_label=pl.Series([0.8, 0.8 + 1e-15, 0.8]))
    assert kept(limited([near], pairs=1)) == ["p:a>b"]


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
    wanted = kept(limited([rows], **config))
    per = Counter(prompt for prompt, _ in made)
    assert len(wanted) == min(most, sum(min(n, per_prompt or n) for n in per.values()))
    shuffled = rows[random.sample(range(rows.height), rows.height)]
    buckets = [shuffled.filter(pl.col("prompt_id").is_in([f"p{n}", f"p{n + 2}"])) for n in (0, 1)]
    buckets.append(shuffled.filter(pl.col("prompt_id") == "p4"))
    assert kept(limited(buckets, **config)) == wanted


@pytest.mark.parametrize("config", [{}, {"pairs": 0}, {"per_prompt": 0}, {"most": 1}], ids=str)
def test_a_wrong_limit_is_refused(config: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        build("limit", **config)
