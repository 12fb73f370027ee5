"""`prefdata review`: people in the loop, by Argilla or Label Studio."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from prefdata.cli.command import Given, add_command

_HELP = "Have people judge the comparisons on which judges disagree, and read back what they say."
_EXPORT_EXAMPLES = """
prefdata review export                          200 comparisons for Argilla, in the folder review
prefdata review export --to label_studio --sample 500 --repeat 25
prefdata review export --random-share 0.5       half of them at random
"""
_IMPORT_EXAMPLES = """
prefdata review import answers.json
prefdata review import one.json two.json --out review/judgments.jsonl
"""
_FOLDER = "review"


class Tool(StrEnum):
    """The tools that people judge in."""

    argilla = "argilla"
    label_studio = "label_studio"


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the app."""
    group = typer.Typer(no_args_is_help=True)
    add_command(
        group,
        "export",
        export,
        "write a sample of the run's comparisons for people to judge",
        _EXPORT_EXAMPLES,
        group="review",
    )
    add_command(
        group,
        "import",
        import_answers,
        "read people's answers as judgments, for the judge human",
        _IMPORT_EXAMPLES,
        group="review",
    )
    app.add_typer(group, name="review", help=_HELP, rich_help_panel="The dataset")


def export(
    given: Given,
    to: Annotated[Tool, typer.Option(help="The tool that people use.")] = Tool.argilla,
    sample: Annotated[
        int, typer.Option(metavar="COUNT", min=1, help="How many comparisons.")
    ] = 200,
    random_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="The share of them that is drawn at random, so that people's agreement can be "
            "estimated for all; the others are those on which judges disagree most.",
        ),
    ] = 0.2,
    repeat: Annotated[
        int,
        typer.Option(
            metavar="COUNT",
            min=0,
            help="How many of them are shown a second time, turned round, to see how consistent "
            "annotators are.",
        ),
    ] = 0,
    show_judges: Annotated[
        bool,
        typer.Option(
            "--show-judges", help="Show what each judge says. It moves what people answer."
        ),
    ] = False,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where to write.")] = _FOLDER,
) -> None:
    """`prefdata review export`."""
    from prefdata.reports.review.sample import export_review

    report = export_review(
        given.load_params(),
        to.value,
        out,
        size=sample,
        random_share=random_share,
        repeated=repeat,
        show_judges=show_judges,
    )
    given.print_report(report)


def import_answers(
    given: Given,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="Argilla's records (to_list or to_disk) or Label Studio's export (JSON, "
            "JSON-MIN); several are read as one.",
        ),
    ],
    out: Annotated[
        str, typer.Option(metavar="FILE", help="Where to write the judgments.")
    ] = f"{_FOLDER}/judgments.jsonl",
    take_unmarked: Annotated[
        bool,
        typer.Option(
            "--take-unmarked",
            help="Take answers of which the export does not say whether they were submitted.",
        ),
    ] = False,
) -> None:
    """`prefdata review import`."""
    from prefdata.reports.review.answers import import_review

    given.print_report(import_review(given.load_params(), files, out, take_unmarked))
