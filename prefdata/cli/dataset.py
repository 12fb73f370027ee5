"""`prefdata verify`: what a dataset that is made is worth."""

from __future__ import annotations

from typing import Annotated

import typer

from prefdata.cli.command import Given, Version, add_command
from prefdata.errors import Unsound

_VERIFY_EXAMPLES = """
prefdata verify
prefdata verify data/dataset@sharp-moss-cove
prefdata verify data/dataset/versions/0e8b6a4c1f7d-2b90c35e
prefdata verify --max-similarity 0.9 --json | jq .checks.splits
"""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the app."""
    panel = "The dataset"
    add_command(
        app,
        "verify",
        verify_dataset,
        "check that a dataset is whole and sound: files, schema, counts, rows, pairs, splits",
        _VERIFY_EXAMPLES,
        panel=panel,
        takes_params=False,
    )


def verify_dataset(
    given: Given,
    version: Version = "data/dataset",
    max_similarity: Annotated[
        float,
        typer.Option(
            min=0.2,
            max=1,
            help="The least trigram similarity of prompts that no two splits may share; as in the "
            "filter near_duplicates.",
        ),
    ] = 0.8,
) -> None:
    """`prefdata verify`."""
    from prefdata.reports.dataset.verify import report_verified

    report = report_verified(version, max_similarity)
    given.print_report(report)
    if not report.sound:
        raise Unsound(
            f"{report.folder}: {report.findings:,} findings",
            "Restore the files from a copy, or make the version again: prefdata export. What is "
            "wrong with pairs or splits is for the filters: see the docs, how to verify.",
        )
