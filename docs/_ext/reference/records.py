"""The page of the records: the columns of every table."""

from __future__ import annotations

import typing
from typing import Any

from pydantic import BaseModel

from prefdata.records import RECORDS, SCHEMA_VERSION
from prefdata.reports.reference.settings import Setting, settings_of
from reference.markdown import link_papers, paragraph, table

_INTRODUCTION = """\
# Records

The columns of every table, which are Parquet files. These records have schema version
{version}. A column that is added, removed, renamed or changes its meaning raises it, and tables of
another version are refused. The same as JSON Schema: `schemas/` in the repository, written by
`prefdata schemas`.
"""


def records_page() -> str:
    """A section per record, then one per nested struct."""
    text = _INTRODUCTION.format(version=SCHEMA_VERSION)
    structs: dict[type[BaseModel], None] = {}
    for record in RECORDS:
        text += _section(record, structs)
    text += "\n## Structs\n\nThe columns of these are fields of the records above.\n"
    for struct in structs:
        text += _section(struct, {}, "###")
    return text


def _section(record: type[BaseModel], structs: dict[Any, None], level: str = "##") -> str:
    columns = settings_of(record, _struct_name)
    for field in record.model_fields.values():
        structs.update(dict.fromkeys(_structs(field.annotation)))
    text = f"\n(record-{record.__name__.lower()})=\n{level} {record.__name__}\n\n"
    rows = [
        (f"`{c.name}`", c.type, _nullable(record, c), link_papers(c.description)) for c in columns
    ]
    return (
        text + paragraph(record.__doc__) + "\n\n" + table(["column", "type", "null", "what"], rows)
    )


def _struct_name(model: type[BaseModel]) -> str:
    return f"[{model.__name__}](#record-{model.__name__.lower()})"


def _structs(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [s for argument in typing.get_args(annotation) for s in _structs(argument)]


def _nullable(record: type[BaseModel], column: Setting) -> str:
    annotation = record.model_fields[column.name].annotation
    return "yes" if type(None) in typing.get_args(annotation) else ""
