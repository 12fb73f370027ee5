"""Which policy draws which sample: in proportion, for good, and whatever the buckets."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from prefdata.accounting.allotment import allot_by_count, allot_by_weight
from prefdata.hashing.ids import prompt_id

counts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5), min_size=1).filter(
    lambda made: sum(made.values()) > 0
)
weights = st.dictionaries(
    st.sampled_from("abcd"), st.sampled_from([0, 0.1, 1, 3]), min_size=1
).filter(lambda made: sum(made.values()) > 0)


def make_totals(totals: list[int]) -> pl.DataFrame:
    ids = [prompt_id([("user", str(n))]) for n in range(len(totals))]
    return pl.DataFrame(
        {"prompt_id": ids, "total": totals}, schema={"prompt_id": pl.String, "total": pl.Int64}
    )


def test_a_part_of_a_round_alternates_between_the_policies() -> None:
    found = allot_by_count(pl.Series(range(9)), {"a": 4, "none": 0, "b": 2})
    assert found["a"].to_list() == [0, 1, 1, 2, 3, 3, 4, 5, 5]
    assert found["b"].to_list() == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert found["none"].to_list() == [0] * 9


@given(counts, st.integers(0, 5))
def test_whole_rounds_give_each_policy_its_count(made: dict[str, int], rounds: int) -> None:
    total = rounds * sum(made.values())
    found = allot_by_count(pl.Series([total]), made)
    assert {name: s.item() for name, s in found.items()} == {n: rounds * c for n, c in made.items()}


@given(counts)
def test_every_sample_has_one_policy_and_keeps_it(made: dict[str, int]) -> None:
    found = allot_by_count(pl.Series(range(30)), made)
    steps = pl.DataFrame(found).select(pl.all().diff().drop_nulls())
    assert steps.sum_horizontal().to_list() == [1] * 29
    assert steps.min_horizontal().min() in (0, 1)


@given(weights, st.lists(st.integers(0, 6), max_size=8), st.integers(0, 8))
def test_neither_buckets_nor_the_order_of_policies_nor_more_samples_move_a_sample(
    made: dict[str, float], totals: list[int], cut: int
) -> None:
    whole = make_totals(totals)
    found = pl.DataFrame(allot_by_weight(whole, made))
    assert found.columns == list(made)
    assert found.sum_horizontal().to_list() == totals
    turned = dict(reversed(made.items()))
    parts = [pl.DataFrame(allot_by_weight(p, turned)) for p in (whole[:cut], whole[cut:])]
    assert pl.concat(parts).select(found.columns).equals(found)
    more = pl.DataFrame(allot_by_weight(whole.with_columns(pl.col("total") + 1), made))
    assert all((more[name] >= found[name]).all() for name in made)
    assert all(found[name].sum() == 0 for name, weight in made.items() if not weight)


def test_the_split_is_near_the_weights() -> None:
    found = allot_by_weight(make_totals([4] * 2500), {"a": 1, "b": 3, "c": 6, "none": 0})
    shares = [found[name].sum() / 10_000 for name in "abc"]
    # Four standard deviations of 10,000 draws.
    for share, weight in zip(shares, (0.1, 0.3, 0.6), strict=True):
        assert abs(share - weight) < 4 * (weight * (1 - weight) / 10_000) ** 0.5
    assert sum(shares) == 1


def test_another_policy_moves_no_sample_between_those_there_are() -> None:
    totals = make_totals([1] * 300)
    before = pl.DataFrame(allot_by_weight(totals, {"a": 1, "b": 2}))
    after = pl.DataFrame(allot_by_weight(totals, {"a": 1, "b": 2, "c": 1}))
    left = after.filter(pl.col("c") == 0)
    assert 100 < left.height < 290
    assert before.filter(after["c"] == 0).equals(left.drop("c"))
