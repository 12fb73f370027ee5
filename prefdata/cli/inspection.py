"""`prefdata check-params`, `status` and `audit`: what is set, and what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prefdata.cli.command import Given, add_command, import_beam
from prefdata.cli.stages import print_funnel
from prefdata.reports.progress import open_progress

if TYPE_CHECKING:
    from prefdata.config import Params

_CHECK_PARAMS_EXAMPLES = """
prefdata check-params
prefdata check-params --params recipes/demo.yaml --set consensus.min_judgments=2
"""
_STATUS_EXAMPLES = """
prefdata status
prefdata status --json | jq .stages.filter.dropped
"""
_AUDIT_EXAMPLES = """
prefdata audit
prefdata audit --labels labels.csv --json
prefdata audit --labels human --calibrate data/calibration.json
prefdata audit --win-matrices data/wins.parquet
prefdata audit --inject 50
"""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the app."""
    panel = "What there is"
    add_command(
        app,
        "check-params",
        check_settings,
        "check params.yaml, its files, keys and models, as every run does before any work",
        _CHECK_PARAMS_EXAMPLES,
        panel=panel,
    )
    add_command(
        app,
        "status",
        show_status,
        "show what each stage's table holds, what was dropped and what it cost",
        _STATUS_EXAMPLES,
        panel=panel,
    )
    add_command(
        app,
        "audit",
        run_audit,
        "show what moves each judge's verdicts: order, length, itself; agreement and calibration",
        _AUDIT_EXAMPLES,
        panel=panel,
    )


def check_settings(given: Given) -> None:
    """`prefdata check-params`."""
    params = given.load_params()
    import_beam()
    from prefdata.pipelines.run import check_params
    from prefdata.pipelines.stages.registry import STAGES
    from prefdata.reports.base import Checked

    stages = [stage.name for stage in STAGES if stage.is_wanted(params)]
    check_params(params, stages)
    given.print_report(Checked(params=given.params_path, stages=stages))


def show_status(given: Given) -> None:
    """`prefdata status`."""
    print_funnel(given, given.load_params(), {}, thorough=True)


def run_audit(
    given: Given,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="JUDGE|FILE",
            help="Compare with labels: a judge of the run, or a .parquet, .csv or .jsonl file of "
            "prompt_id, response_a, response_b and preference, the probability that a is better.",
        ),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Fit each judge's temperature to the labels; JSON, for consensus.calibration.",
        ),
    ] = None,
    win_matrices: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write every P(i > j) as Parquet."),
    ] = None,
    inject: Annotated[
        int,
        typer.Option(
            metavar="COUNT",
            min=0,
            max=100_000,
            help="Ask each judge that is a prompted model about this many of its comparisons "
            "again, with known attacks at the end of the response that lost, and say how often "
            "they turn its verdict. It costs five times as many judgments; the memo keeps them.",
        ),
    ] = 0,
) -> None:
    """`prefdata audit`."""
    from prefdata.reports.audit import report_audit

    params = given.load_params()
    probed = _probe_injection(given, params, inject) if inject else {}
    own = _find_fingerprints(params)
    given.print_report(
        report_audit(
            params, own, labels, calibrate=calibrate, matrices=win_matrices, injection=probed
        )
    )


def _probe_injection(given: Given, params: Params, count: int) -> dict[str, list[dict[str, Any]]]:
    """By judge, what the injection probe finds."""
    from prefdata.pipelines.injection import probe_injection

    with open_progress(given.quiet) as progress:
        return probe_injection(params, count, progress)


def _find_fingerprints(params: Params) -> dict[str, list[str]]:
    """For each judge, the fingerprints of the models that it asks."""
    from prefdata.engines.registry import Engines
    from prefdata.judges.registry import build_panel

    engines = Engines(params.models)
    return {
        judge.name: sorted({engines[need.model].fingerprint for need in judge.requirements()})
        for judge in build_panel(params.judge.judges)
    }
