"""The page of a checked dataset."""

from __future__ import annotations

from prefdata.reports.dataset.check import CheckReport
from prefdata.reports.page.content import Page, Section
from prefdata.reports.page.render import write_html


def write_check_page(report: CheckReport, path: str) -> None:
    """Write the report as a self-contained page.

    Args:
        report: The report.
        path: The file to write, a path or URL.
    """
    nothing = "" if report.findings else "Nothing was found."
    sections = [
        Section("findings", "Findings", nothing, list(report.show_findings())),
        Section("consumers", "What each consumer does", parts=list(report.show_consumers())),
        Section("figures", "Figures", parts=list(report.show_measures())),
    ]
    write_html(
        Page(
            f"Check of {report.dataset}",
            report.summarize(),
            [("dataset", report.describe_rows())],
            [each for each in sections if each.parts or each.lead],
        ),
        path,
    )
