"""What a publication holds: names that it can't, and personal data that it may hold."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from dataset.published import describe_version

from prefdata.dataset.hub import plan as planning
from prefdata.dataset.hub.record import RecordTable, list_patterns, list_record
from prefdata.dataset.manifest import StageEntry
from prefdata.errors import ConfigError
from prefdata.records.base import SCHEMA_VERSION
from prefdata.tables import Table, TableInfo, begin, finish, read_info, write_bucket
from prefdata.tables.catalog import Catalog

FOUND = [
    ("personal_data_prompt", "email at characters 3 to 9; phone at characters 20 to 31"),
    ("personal_data_chosen", "email at characters 0 to 7"),
    ("near_identical", "similarity 0.95 above 0.9"),
]


def write_dropped(folder: Path) -> RecordTable:
    """data/dropped/filter with these records, in the second of two buckets."""
    table: Table = Catalog(str(folder)).dropped("filter")
    rows = pl.DataFrame(
        [
            {"stage": "filter", "reason": reason, "detail": detail, "fault": False}
            | {"origin": "p", "record": "{}"}
            for reason, detail in FOUND
        ]
    )
    begin(table)
    files = [write_bucket(table, place, 2, part) for place, part in enumerate((rows[:0], rows))]
    info = TableInfo(
        record="Dropped", schema_version=SCHEMA_VERSION, buckets=2, rows=3, rows_in=3, rows_out=0,
        unit="pairs", files=files,
    )  # fmt: skip
    finish(table, info)
    return RecordTable("dropped/filter", table, read_info(table))


def test_personal_data_is_counted_by_kind_and_by_what_holds_it(tmp_path: Path) -> None:
    record = [write_dropped(tmp_path)]
    dropped = {"personal_data_prompt": 1, "personal_data_chosen": 1, "near_identical": 1}
    stage = StageEntry(
        stage="filter", unit="pairs", rows_in=9, rows_out=6, dropped=dropped, models={}
    )
    manifest = describe_version(stages=[stage])
    (said,) = planning._describe_personal(manifest, record)
    assert said.startswith(
        "the filter personal_data dropped 2 pairs (email 2, phone 1); the record"
    )
    (said,) = planning._describe_personal(manifest, [])
    assert "dropped 2 pairs; what is published does not hold them" in said
    exports = {"trl_sft": manifest.main.model_copy(update={"unit": "prompts"})}
    (said,) = planning._describe_personal(manifest.model_copy(update={"exports": exports}), [])
    assert "dropped 2 pairs; trl_sft may hold their texts" in said
    assert not list(planning._describe_personal(describe_version(), record))


def test_files_without_rows_are_not_loaded(tmp_path: Path) -> None:
    record = [write_dropped(tmp_path)]
    path = "record/dropped/filter/bucket-00001-of-00002.parquet"
    assert list_patterns(record) == {"dropped": [path]}


def test_names_of_forms_that_stand_for_something_else_are_refused(tmp_path: Path) -> None:
    record = [write_dropped(tmp_path)]
    for name, tables in (("record", []), ("parquet", []), ("dropped", record)):
        manifest = describe_version(exports={name: describe_version().main})
        with pytest.raises(ConfigError, match=f"the export '{name}' has the name"):
            planning._check_names(manifest, tables)
    planning._check_names(describe_version(exports={"dropped": describe_version().main}), [])


def test_a_version_that_does_not_say_its_tables_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not say of which tables"):
        list_record(str(tmp_path), describe_version())
