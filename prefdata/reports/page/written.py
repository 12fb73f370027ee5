"""What `prefdata report` prints: the page that it wrote."""

from __future__ import annotations

from prefdata.reports.base import Block, Report
from prefdata.reports.page.content import Page
from prefdata.reports.page.render import write_html


class WrittenPage(Report):
    """A page that was written."""

    page: str
    bytes: int
    rows: int
    empty: dict[str, str]

    def blocks(self) -> list[Block]:
        """The page, and what it could not show."""
        lines = [
            f"page: {self.page} ({self.bytes / 1e6:.1f} MB, {self.rows:,} rows to read); open it "
            "in a browser"
        ]
        lines += [f"{title}: {why}" for title, why in self.empty.items()]
        return ["\n".join(lines)]


def report_page(page: Page, path: str) -> WrittenPage:
    """Write the page."""
    return WrittenPage(
        page=path,
        bytes=write_html(page, path),
        rows=len(page.rows.rows) if page.rows else 0,
        empty={each.title: each.lead for each in page.sections if not each.parts},
    )
