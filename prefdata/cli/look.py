"""`prefdata explain` and `prefdata show`: a look at prompts, pairs and dropped records."""

from __future__ import annotations

from typing import Annotated

import typer

from prefdata.cli.command import Given, Version, add_command

_EXPLAIN_EXAMPLES = """
prefdata explain 04463ab8
prefdata explain "water balloons"
prefdata explain prompts.jsonl:7 --full
prefdata explain a4ec178088d4 --json | jq .story.comparisons
"""
_SHOW_EXAMPLES = """
prefdata show
prefdata show data/dataset@sharp-moss-cove --max-margin 0.1 -n 3
prefdata show --judge pairwise --max-margin 0 --split test
prefdata show --dropped --reason disagreement --source gsm8k
"""

Full = Annotated[bool, typer.Option("--full", help="Show long texts whole.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the app."""
    panel = "The dataset"
    add_command(
        app,
        "explain",
        explain_prompt,
        "tell the whole story of a prompt or pair, from its source row to the dataset",
        _EXPLAIN_EXAMPLES,
        panel=panel,
    )
    add_command(
        app,
        "show",
        show_rows,
        "show a handful of pairs, or of dropped records, side by side",
        _SHOW_EXAMPLES,
        panel=panel,
        takes_params=False,
    )


def explain_prompt(
    given: Given,
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The id of a prompt, a pair or a response, or at least its first 4 characters; a "
            "source row, file:row; or a piece of the prompt's text.",
        ),
    ],
    full: Full = False,
) -> None:
    """`prefdata explain`."""
    from prefdata.reports.dataset.explain import report_explained

    given.print_report(report_explained(given.load_params().data, wanted, full=full))


def show_rows(
    given: Given,
    version: Version = "data/dataset",
    dropped: Annotated[
        bool,
        typer.Option("--dropped", help="Show what the run beside the dataset dropped."),
    ] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 5,
    reason: Annotated[
        str | None, typer.Option(metavar="CODE", help="Of dropped records: this reason.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Pairs that this judge judged, by whose own margin they then go; dropped records "
            "whose detail names it.",
        ),
    ] = None,
    min_margin: Annotated[
        float | None,
        typer.Option(
            help="The least margin: of rewards, or in log-odds where there are none. Below 0, a "
            "judge prefers the rejected response.",
        ),
    ] = None,
    max_margin: Annotated[float | None, typer.Option(help="The largest margin.")] = None,
    source: Annotated[str | None, typer.Option(help="The prompt's source.")] = None,
    split: Annotated[str | None, typer.Option(help="The prompt's split.")] = None,
    seed: Annotated[int, typer.Option(help="Another one draws others.")] = 0,
    full: Full = False,
) -> None:
    """`prefdata show`."""
    from prefdata.lineage.sample import Wanted
    from prefdata.reports.dataset.show import report_dropped, report_pairs

    wanted = Wanted(source, split, judge, reason, min_margin, max_margin)
    report = report_dropped if dropped else report_pairs
    given.print_report(report(version, wanted, count, seed, full=full))
