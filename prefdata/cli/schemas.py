"""`prefdata schemas`: the JSON Schema of every record and of params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prefdata.cli.command import Given, add_command

_EXAMPLES = """
prefdata schemas
prefdata schemas --out /tmp/schemas
"""


def add_commands(app: typer.Typer) -> None:
    """Add the command to the app."""
    add_command(
        app,
        "schemas",
        write,
        "write the JSON Schema of every record and of params.yaml",
        _EXAMPLES,
        panel="What there is",
        takes_params=False,
    )


def write(
    given: Given,
    out: Annotated[
        str, typer.Option(metavar="FOLDER", help="The folder to write them to.")
    ] = "schemas",
) -> None:
    """`prefdata schemas`."""
    from prefdata.config.json_schema import write_schemas
    from prefdata.reports.base import Files

    given.print_report(Files(files=[str(path) for path in write_schemas(Path(out))]))
