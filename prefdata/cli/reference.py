"""`prefdata list`, `prefdata describe` and `prefdata schemas`: what params.yaml may say, and the
columns of every table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prefdata.cli.command import Given, add_command
from prefdata.cli.completion import complete_kinds, complete_parts, complete_places

_LIST_EXAMPLES = """
prefdata list
prefdata list judges
prefdata list filters --json | jq '.packages.filters.kinds | keys'
"""
_DESCRIBE_EXAMPLES = """
prefdata describe judge pointwise
prefdata describe generate
prefdata describe generate.n
prefdata describe filter ches --json            its JSON Schema
"""
_SCHEMAS_EXAMPLES = """
prefdata schemas
prefdata schemas --out /tmp/schemas
"""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for name, run, summary, examples in (
        (
            "list",
            list_kinds,
            "list the kinds of judges, filters and all other parts, plugins' too",
            _LIST_EXAMPLES,
        ),
        (
            "describe",
            describe,
            "describe a kind with all its settings, or a place in params.yaml",
            _DESCRIBE_EXAMPLES,
        ),
        (
            "schemas",
            write_schemas,
            "write the JSON Schema of every record and of params.yaml",
            _SCHEMAS_EXAMPLES,
        ),
    ):
        add_command(app, name, run, summary, examples, panel="What there is", takes_params=False)


def list_kinds(
    given: Given,
    parts: Annotated[
        str | None,
        typer.Argument(
            help="engines, sources, judges, filters …; default: all of them.",
            autocompletion=complete_parts,
        ),
    ] = None,
) -> None:
    """`prefdata list`."""
    from prefdata.reports.reference import kinds

    given.print_report(kinds.list_kinds(parts))


def describe(
    given: Given,
    what: Annotated[
        str,
        typer.Argument(
            help="A part such as judge, or a place in params.yaml such as generate.n.",
            autocompletion=complete_places,
        ),
    ],
    kind: Annotated[
        str | None, typer.Argument(help="The kind of part.", autocompletion=complete_kinds)
    ] = None,
) -> None:
    """`prefdata describe`."""
    from prefdata.reports.reference import kinds

    given.print_report(kinds.describe(what, kind))


def write_schemas(
    given: Given,
    out: Annotated[
        str, typer.Option(metavar="FOLDER", help="The folder to write them to.")
    ] = "schemas",
) -> None:
    """`prefdata schemas`."""
    from prefdata.config import json_schema
    from prefdata.reports.base import Files

    given.print_report(Files(files=[str(path) for path in json_schema.write_schemas(Path(out))]))
