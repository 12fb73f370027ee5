"""schemas/: the JSON Schema of every record, generated from the records."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prefdata.records import RECORDS, SCHEMA_VERSION, Record


def schema_text(record: type[Record]) -> str:
    """The record's JSON Schema as it stands in schemas/."""
    schema = record.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["schema_version"] = SCHEMA_VERSION
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def schema_name(record: type[Record]) -> str:
    """`AugmentedPair` -> augmented_pair.json."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", record.__name__).lower() + ".json"


def write_schemas(folder: Path) -> list[Path]:
    """Write all schemas; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for record in RECORDS:
        path = folder / schema_name(record)
        path.write_text(schema_text(record), encoding="utf-8")
        paths.append(path)
    return paths
