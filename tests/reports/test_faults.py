"""When faulty records stop a run, and that it says which they are."""

from __future__ import annotations

from pathlib import Path

import flows
import polars as pl
import pytest

from prefdata.accounting.faults import allows_faults
from prefdata.accounting.stats import Stats
from prefdata.config import Params
from prefdata.errors import TooManyFaulty
from prefdata.records import SCHEMA_VERSION, Dropped
from prefdata.reports.faults import check_faults
from prefdata.tables import Table, TableInfo, begin, finish, write_bucket
from prefdata.tables.catalog import Catalog


@pytest.mark.parametrize(
    ("faults", "rows", "origins", "allowed"),
    [
        (1, 36, 1, True),
        (3, 36, 3, True),
        (4, 36, 3, False),  # more than a tenth
        (28, 1008, 1, True),  # every comparison of one prompt of 36, which has 8 responses
        (28, 1008, 4, False),
        (1, 3, 1, False),
        (10, 1000, 10, True),
        (11, 1000, 11, False),
    ],
)
def test_a_few_prompts_stop_no_small_run(
    faults: int, rows: int, origins: int, allowed: bool
) -> None:
    assert allows_faults(0.01, faults, rows, origins) is allowed
    # Who allows none gets none.
    assert not allows_faults(0.0, faults, rows, origins)


def write_dropped(params: Params, faults: list[tuple[str, str]]) -> Table:
    """The dropped records of the stage consensus: these faults by origin, and a tie."""
    table = Catalog(params.data).dropped("consensus")
    begin(table)
    rows = [(origin, "too_few_judgments", detail, True) for origin, detail in faults]
    frame = pl.DataFrame(
        [*rows, ("a", "tie", "pairwise 0.5", False)],
        schema=["origin", "reason", "detail", "fault"],
        orient="row",
    ).with_columns(stage=pl.lit("consensus"), record=pl.lit("{}"))
    for bucket in range(2):
        write_bucket(table, bucket, 2, frame[bucket::2].select(*Dropped.model_fields))
    counts = {"rows": frame.height, "rows_in": 36, "rows_out": 36 - frame.height, "dropped": {}}
    finish(table, TableInfo(record="Dropped", schema_version=SCHEMA_VERSION, buckets=2, faults=0,
                            unit="comparisons", **counts))  # fmt: skip
    return table


def test_a_stage_that_fails_shows_its_first_faults_with_their_cause(tmp_path: Path) -> None:
    params = flows.params(tmp_path, 2)
    cause = "pairwise too_long: 9,000 tokens, the model takes 4,096"
    few = [("p1", cause)]
    check_faults(params, "consensus", "consensus", Stats(rows_in=36, faults=1),
                 write_dropped(params, few))  # fmt: skip
    many = [(f"p{n}", cause) for n in (5, 1, 3, 4)] + [("p1", "another of p1")]
    stats = Stats(rows_in=36, faults=5, dropped={"too_few_judgments": 5, "tie": 1})
    with pytest.raises(TooManyFaulty) as caught:
        check_faults(params, "consensus", "consensus", stats, write_dropped(params, many))
    assert str(caught.value).splitlines()[:5] == [
        "consensus: 5 of 36 are faulty, more than max_faulty_fraction = 0.01 "
        "(too_few_judgments 5, tie 1)",
        "  p1: too_few_judgments: another of p1",
        f"  p3: too_few_judgments: {cause}",
        f"  p4: too_few_judgments: {cause}",
        f"  remedy: All are in {params.data}/dropped/consensus; mend the input or raise "
        "consensus.max_faulty_fraction. The good rows were written.",
    ]
