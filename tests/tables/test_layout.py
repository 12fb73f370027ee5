"""Where rows lie: buckets are ranges of prompt ids."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.records import Prompt
from prefdata.tables import Table, bucket_column, bucket_of, buckets_for
from prefdata.tables.layout import PROMPTS_PER_BUCKET

POWERS = [1 << exponent for exponent in range(17)]

ids = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(st.lists(ids, min_size=2, max_size=20))
def test_buckets_follow_the_order_of_the_ids_at_every_power_of_two(found: list[str]) -> None:
    for buckets in POWERS:
        numbers = [bucket_of(identity, buckets) for identity in sorted(found)]
        assert numbers == sorted(numbers)
        assert all(0 <= number < buckets for number in numbers)


@given(st.lists(ids, max_size=20), st.sampled_from(POWERS))
def test_a_column_of_ids_has_the_bucket_of_each(found: list[str], buckets: int) -> None:
    column = bucket_column(pl.Series(found, dtype=pl.String), buckets)
    assert column.to_list() == [bucket_of(identity, buckets) for identity in found]


@given(ids)
def test_twice_as_many_buckets_cut_each_bucket_in_two(identity: str) -> None:
    for buckets in POWERS:
        assert bucket_of(identity, 2 * buckets) // 2 == bucket_of(identity, buckets)


@pytest.mark.parametrize("buckets", POWERS)
def test_the_first_and_last_id_lie_in_the_first_and_last_bucket(buckets: int) -> None:
    assert bucket_of("0" * 32, buckets) == 0
    assert bucket_of("f" * 32, buckets) == buckets - 1


@given(st.integers(0, 10**9))
def test_the_number_of_buckets_is_the_smallest_power_of_two_that_holds_the_rows(rows: int) -> None:
    buckets = buckets_for(rows)
    assert buckets & (buckets - 1) == 0
    assert buckets >= 4
    assert rows <= PROMPTS_PER_BUCKET * buckets
    assert buckets == 4 or rows > PROMPTS_PER_BUCKET * buckets // 2


def test_paths_name_bucket_and_count_and_sort_by_bucket() -> None:
    table = Table("out/prompts/", Prompt)
    paths = [table.bucket_path(bucket, 16) for bucket in range(16)]
    assert paths[3] == "out/prompts/bucket-00003-of-00016.parquet"
    assert paths == sorted(paths)
    assert table.info_path == "out/prompts/_table.json"
