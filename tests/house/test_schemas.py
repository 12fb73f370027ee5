"""schemas/ says what the records are, and what was written is what the schemas say."""

from __future__ import annotations

from pathlib import Path

import flows
import jsonschema
import orjson

from prefdata.config.json_schema import name_schema, render_schemas
from prefdata.pipelines.stages.registry import STAGES
from prefdata.records import Preference
from prefdata.records.base import arrow_schema
from prefdata.tables.catalog import TABLES


def test_schemas_are_those_of_the_code(root: Path) -> None:
    found = {path.name: path.read_text() for path in (root / "schemas").glob("*.json")}
    wanted = render_schemas()
    assert set(found) == set(wanted)
    differing = [name for name in wanted if found[name] != wanted[name]]
    assert not differing, "run: prefdata schemas"


def test_written_rows_hold_to_the_schemas(tmp_path: Path, root: Path) -> None:
    params = flows.params(tmp_path)
    flows.run(params, *[stage.name for stage in STAGES if stage.is_wanted(params)])
    checked = 0
    for name, record in TABLES.items():
        schema = orjson.loads((root / "schemas" / name_schema(record)).read_bytes())
        validator = jsonschema.validators.validator_for(schema)(schema)
        validator.check_schema(schema)
        for row in flows.read(tmp_path, name).to_dicts():
            validator.validate(row)
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
