"""schemas/ says what the records are, and what was written is what the schemas say."""

from __future__ import annotations

from pathlib import Path

import flows
import jsonschema
import orjson
import pytest

from prefdata.config.json_schema import schema_name, schema_text
from prefdata.pipelines import layout
from prefdata.pipelines.stages.registry import STAGES
from prefdata.records import RECORDS, Preference, Record
from prefdata.records.base import arrow_schema
from prefdata.tables import read_table


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_schemas_are_those_of_the_records(record: type[Record], root: Path) -> None:
    path = root / "schemas" / schema_name(record)
    assert path.read_text(encoding="utf-8") == schema_text(record), "run: prefdata schemas"


def test_no_schema_without_a_record(root: Path) -> None:
    names = {path.name for path in (root / "schemas").glob("*.json")}
    assert names == {schema_name(record) for record in RECORDS}


def test_written_rows_hold_to_the_schemas(tmp_path: Path, root: Path) -> None:
    params = flows.params(tmp_path)
    for name, run in STAGES.items():
        if name != "reward-head":
            run(params, [], True)
    checked = 0
    for name, record in layout.RECORD_OF.items():
        schema = orjson.loads((root / "schemas" / schema_name(record)).read_bytes())
        for row in read_table(layout.table(params, name)).to_dicts():
            jsonschema.validate(row, schema)
            checked += 1
    assert checked > 200


def test_the_published_row_is_what_trl_reads() -> None:
    """formats: uniform list[Message] columns, no stray `messages` or `completion` column."""
    schema = arrow_schema(Preference)
    assert {str(schema.field(n).type) for n in ("prompt", "chosen", "rejected")} == {
        str(schema.field("prompt").type)
    }
    message = schema.field("prompt").type.value_type
    assert [message.field(i).name for i in range(message.num_fields)] == ["role", "content"]
    assert not {"messages", "completion", "label"} & set(schema.names)
