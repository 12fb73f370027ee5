"""`prefdata report`: one HTML file about a run, a version, or two versions."""

from __future__ import annotations

from typing import Annotated

import typer

from prefdata.cli.command import Given, add_command
from prefdata.cli.completion import complete_versions
from prefdata.reports.progress import show_files

_EXAMPLES = """
prefdata report
prefdata report --params recipes/demo.yaml --out report.html
prefdata report data/dataset@sharp-moss-cove
prefdata report data/dataset@parent data/dataset --out difference.html
"""


def add_commands(app: typer.Typer) -> None:
    """Add the command to the app."""
    add_command(
        app,
        "report",
        write_report,
        "write one HTML file about a run, a version or two versions, to open from disk",
        _EXAMPLES,
        panel="The dataset",
    )


def write_report(
    given: Given,
    version: Annotated[
        str | None,
        typer.Argument(
            help="A version to write about alone, named as for verify; default: the run of "
            "params.yaml, with all its tables.",
            show_default=False,
            autocompletion=complete_versions,
        ),
    ] = None,
    other: Annotated[
        str | None,
        typer.Argument(
            help="A second version, to compare the first with.",
            show_default=False,
            autocompletion=complete_versions,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The file to write; default: report.html in the run's data folder, or in this one "
            "where a version is named.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """`prefdata report`."""
    from prefdata.reports.figures.drawing import require_matplotlib

    require_matplotlib()
    from prefdata.files import storage
    from prefdata.reports.page.compare import compose_comparison
    from prefdata.reports.page.run import compose_run
    from prefdata.reports.page.version import compose_version
    from prefdata.reports.page.written import report_page

    if version is None:
        from prefdata.pipelines.stages.registry import STAGES
        from prefdata.reports.funnel import report_funnel
        from prefdata.tables.catalog import TABLES

        params = given.load_params()
        funnel = report_funnel(params, STAGES, TABLES, {})
        with show_files(given.quiet, "report") as advance:
            page = compose_run(params, funnel, advance)
        path = storage.join(params.data, "report.html")
    else:
        with show_files(given.quiet, "report") as advance:
            page = (
                compose_version(version, advance)
                if other is None
                else compose_comparison(version, other, advance)
            )
        path = "report.html"
    given.print_report(report_page(page, out or path))
