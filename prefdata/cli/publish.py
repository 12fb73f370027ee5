"""`prefdata publish`: a version on the Hugging Face hub."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prefdata.cli.command import Given, Version, add_command
from prefdata.errors import ConfigError, Unsound
from prefdata.reports.progress import open_progress

_EXAMPLES = """
prefdata publish --repo org/name --dry-run
prefdata publish data/dataset@sharp-moss-cove --repo org/name --private --record
prefdata publish --repo org/name --token-file token.txt --json | jq .commit
"""

if TYPE_CHECKING:
    from prefdata.dataset.find import Found

MAX_SIMILARITY = 0.8
"""As `prefdata verify` takes it unless told otherwise."""


def add_commands(app: typer.Typer) -> None:
    """Add the command to the app."""
    add_command(
        app,
        "publish",
        publish_dataset,
        "publish a version on the Hugging Face hub, in one commit with a tag",
        _EXAMPLES,
        panel="The dataset",
        takes_params=False,
    )


def publish_dataset(
    given: Given,
    repo: Annotated[
        str, typer.Option(metavar="OWNER/NAME", help="The dataset's repository on the hub.")
    ],
    version: Version = "data/dataset",
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Publish all tables of the run as well: prompts, responses, judgments with their "
            "transcripts, labels, CHES, pairs and what was dropped; anyone can pair anew.",
        ),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="The data folder of the run, for --record; default: the one that the dataset "
            "lies in.",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be pushed. It needs neither network nor token.",
        ),
    ] = False,
    overwrite_card: Annotated[
        bool,
        typer.Option("--overwrite-card", help="Replace a card that was edited on the hub."),
    ] = False,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A file with the token; default: HF_TOKEN, or that of `hf auth login`.",
        ),
    ] = None,
) -> None:
    """`prefdata publish`."""
    from prefdata.dataset.find import find_version
    from prefdata.dataset.hub.client import open_hub
    from prefdata.dataset.hub.plan import plan_publication
    from prefdata.dataset.hub.push import check_repo, push
    from prefdata.dataset.manifest import read_manifest
    from prefdata.dataset.names import name_content
    from prefdata.reports.dataset.pictures import draw_pictures
    from prefdata.reports.dataset.publish import report_publication
    from prefdata.reports.dataset.verify import report_verified

    check_repo(repo)
    api = open_hub(token_file)
    found = find_version(version)
    folder = found.folder
    with open_progress(given.quiet) as progress, tempfile.TemporaryDirectory() as scratch:
        progress.note(f"verifying {folder}")
        verified = report_verified(folder, MAX_SIMILARITY)
        if not verified.sound:
            given.print_report(verified)
            raise Unsound(
                f"{folder}: {verified.findings:,} findings: it is not published",
                "Make the version again, or mend what was found: see prefdata verify.",
            )
        manifest = read_manifest(folder)
        try:
            pictures = list(draw_pictures(folder, manifest))
        except ConfigError as error:
            pictures = []
            progress.note(f"no figures on the card: {error.problem} ({error.remedy})")
        url = f"{api.endpoint}/datasets/{repo}"
        plan = plan_publication(
            folder,
            repo,
            Path(scratch),
            url=url,
            data=(data or find_data(found)) if record else None,
            pictures=pictures,
        )
        names = [name_content(manifest.content_version)]
        pushed = None
        if not dry_run:
            pushed = push(
                plan,
                api,
                private=private,
                overwrite_card=overwrite_card,
                names=names,
                note=progress.note,
            )
    given.print_report(report_publication(plan, folder, url, private, [plan.tag, *names], pushed))


def find_data(found: Found) -> str:
    """The data folder in which the version lies, as DATA/dataset/versions/VERSION."""
    dataset = found.dataset or os.path.dirname(os.path.dirname(found.folder.rstrip("/")))
    return os.path.dirname(dataset.rstrip("/")) or "."
