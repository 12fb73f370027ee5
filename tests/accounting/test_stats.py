"""What stages count, added up over buckets."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from prefdata.accounting.stats import PartStats, Stats, sum_stats
from prefdata.inference.usage import Usage
from prefdata.tables import FileInfo

counts = st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), max_size=2)


@st.composite
def buckets(draw: st.DrawFn) -> list[Stats]:
    return [
        Stats(
            rows_in=draw(st.integers(0, 9)),
            files={bucket: FileInfo(rows=bucket, sha256=str(bucket))},
            dropped=draw(counts),
            usage={name: Usage(requests=n) for name, n in draw(counts).items()},
            filters={f"0 {name}": PartStats(rows_in=n) for name, n in draw(counts).items()},
        )
        for bucket in range(draw(st.integers(0, 9)))
    ]


@given(buckets())
def test_the_sum_is_that_of_one_after_another(stats: list[Stats]) -> None:
    assert sum_stats(iter(stats)) == reduce(Stats.plus, stats, Stats())
