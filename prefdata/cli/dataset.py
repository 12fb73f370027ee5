"""`prefdata verify`, `prefdata diff` and `prefdata check`: what a dataset is worth, and what has
changed from one version to another."""

from __future__ import annotations

from typing import Annotated

import typer

from prefdata.cli.check.command import EXAMPLES as CHECK_EXAMPLES
from prefdata.cli.check.command import check_dataset
from prefdata.cli.command import Given, Version, add_command
from prefdata.errors import Unsound
from prefdata.reports.progress import show_files

_VERIFY_EXAMPLES = """
prefdata verify
prefdata verify data/dataset@sharp-moss-cove
prefdata verify data/dataset/versions/0e8b6a4c1f7d-2b90c35e
prefdata verify --max-similarity 0.9 --json | jq .checks.splits
"""
_DIFF_EXAMPLES = """
prefdata diff data/dataset@parent data/dataset
prefdata diff sharp-moss-cove calm-amber-heron --json | jq .pairs
prefdata diff old/dataset data/dataset --exit-code > /dev/null || echo other rows
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
    add_command(
        app,
        "diff",
        compare_versions,
        "compare two versions: pairs, judges' scores, what was dropped, and how they were made",
        _DIFF_EXAMPLES,
        panel=panel,
        takes_params=False,
    )
    add_command(
        app,
        "check",
        check_dataset,
        "say what any preference dataset teaches, and what each trainer would do with it",
        CHECK_EXAMPLES,
        panel=panel,
        takes_beam=True,
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


def compare_versions(
    given: Given,
    a: Version,
    b: Version,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where the versions' rows differ.")
    ] = False,
) -> None:
    """`prefdata diff`."""
    from prefdata.reports.dataset.diff import report_difference

    with show_files(given.quiet, "diff") as advance:
        report = report_difference(a, b, advance)
    given.print_report(report)
    if exit_code and report.differs:
        raise typer.Exit(1)
