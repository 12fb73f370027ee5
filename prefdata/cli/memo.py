"""`prefdata memo`: show the memo of finished model calls, merge its segments, drop a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prefdata.cli.command import Given, add_command

if TYPE_CHECKING:
    from prefdata.config import Params

_HELP = "Look into the memo of finished model calls, merge its segments, drop a model."
_COMPACT_NOTE = """\
merge small segments into large ones and drop duplicates; it first writes all merged segments, so \
it needs as much free space as the memo takes, and loses nothing when it is killed"""

_STATS_EXAMPLES = """
prefdata memo stats
prefdata memo stats --json | jq .entries
"""
_COMPACT_EXAMPLES = """
prefdata memo compact                           after long runs; safe beside a running one
"""
_DROP_EXAMPLES = """
prefdata memo drop --model reference
prefdata memo drop --model 1f3a9c0e5b7d2468     a fingerprint of prefdata memo stats
"""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the app."""
    group = typer.Typer(no_args_is_help=True)
    add_command(
        group,
        "stats",
        show_stats,
        "show size, segments, entries and duplicates by operation and model, and the last hits",
        _STATS_EXAMPLES,
        group="memo",
    )
    add_command(group, "compact", compact, _COMPACT_NOTE, _COMPACT_EXAMPLES, group="memo")
    add_command(
        group, "drop", drop, "remove all entries of one model", _DROP_EXAMPLES, group="memo"
    )
    app.add_typer(group, name="memo", help=_HELP, rich_help_panel="What there is")


def show_stats(given: Given) -> None:
    """`prefdata memo stats`."""
    from prefdata.pipelines.stages.registry import STAGES
    from prefdata.reports.memo import report_memo

    params = given.load_params()
    given.print_report(report_memo(params, STAGES, _find_fingerprints(params)))


def compact(given: Given) -> None:
    """`prefdata memo compact`."""
    from prefdata.reports.memo import compact_memo

    params = given.load_params()
    given.print_report(compact_memo(params, _find_fingerprints(params)))


def drop(
    given: Given,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="A name in params.yaml, or a fingerprint that `prefdata memo stats` shows.",
        ),
    ],
) -> None:
    """`prefdata memo drop`."""
    from prefdata.reports.memo import drop_model

    params = given.load_params()
    given.print_report(drop_model(params, model, _find_fingerprints(params)))


def _find_fingerprints(params: Params) -> dict[str, str]:
    """The fingerprint of each model, by its name in params.yaml.

    A model that is not available is left out; it may have been when the memo was written.
    """
    from prefdata.engines.registry import Engines
    from prefdata.errors import PrefdataError

    engines, fingerprints = Engines(params.models), {}
    for name in params.models:
        try:
            fingerprints[name] = engines[name].fingerprint
        except PrefdataError:
            continue
    return fingerprints
