"""`prefdata replay`: whether remembered model calls come out the same on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from prefdata.cli.command import Given, add_command
from prefdata.reports.progress import open_progress

_EXAMPLES = """
prefdata replay                                 200 requests of each model call of each stage
prefdata replay --sample 50 --json | jq .receipt.judges
prefdata replay --max-cost 2                    where the models have prices
"""


def add_commands(app: typer.Typer) -> None:
    """Add the command to the app."""
    add_command(
        app,
        "replay",
        replay_calls,
        "ask remembered model calls again, and say how far they come out the same",
        _EXAMPLES,
        panel="The dataset",
    )


def replay_calls(
    given: Given,
    sample: Annotated[
        int,
        typer.Option(
            metavar="COUNT",
            min=1,
            help="How many requests of each model call of each stage, at least: prompts are taken "
            "as a whole.",
        ),
    ] = 200,
    max_cost: Annotated[
        float | None,
        typer.Option(
            metavar="AMOUNT",
            min=0,
            help="The most that it may cost, in the currency of the models' prices; without it, "
            "nothing that has a price is asked.",
        ),
    ] = None,
) -> None:
    """`prefdata replay`."""
    from prefdata.pipelines.replay.run import replay
    from prefdata.reports.dataset.replay import write_receipt

    params = given.load_params()
    with open_progress(given.quiet) as progress:
        receipt = replay(params, sample, max_cost, progress)
    given.print_report(write_receipt(params.data, receipt))
