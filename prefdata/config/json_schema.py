"""schemas/: the JSON Schema of every record and of params.yaml, generated from the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import BaseModel

from prefdata.config.params import Params
from prefdata.records import RECORDS, SCHEMA_VERSION, Record

PARAMS_NAME = "params.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render_schemas() -> dict[str, str]:
    """The file name and text of every schema: one per record, and one of params.yaml."""
    texts = {
        name_schema(record): _render(record, schema_version=SCHEMA_VERSION) for record in RECORDS
    }
    return {**texts, PARAMS_NAME: _render(Params)}


def name_schema(record: type[Record]) -> str:
    """The file name of a record's schema: `AugmentedPair` -> augmented_pair.json."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", record.__name__).lower() + ".json"


def write_schemas(folder: Path) -> list[Path]:
    """Write all schemas into the folder. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / name: text for name, text in render_schemas().items()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _render(model: type[BaseModel], **more: int) -> str:
    schema = {**model.model_json_schema(), "$schema": _DIALECT, **more}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
