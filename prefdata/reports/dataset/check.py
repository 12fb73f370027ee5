"""The report of `prefdata check`: what a preference dataset is worth, and to whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Literal

from pydantic import Field

from prefdata.checks.base import SEVERITIES, CheckedDataset, Found, Severity
from prefdata.checks.consumers import Outlook
from prefdata.reports.base import Block, Figures, Grid, Report

FailOn = Literal["error", "warning", "note", "never"]

_EXAMPLE = 100
"""An example's text is cut to this many characters."""


class ExampleLine(Figures):
    """A row, and what was found there."""

    place: str
    what: str


class FindingLine(Figures):
    """Something that is wrong with rows."""

    check: str = Field(description="A short code, such as identical.")
    severity: Severity
    what: str
    remedy: str = Field(description="What to do.")
    count: int = Field(description="The number of rows, prompts or responses.")
    of: int = Field(description="Of how many.")
    share: float
    examples: list[ExampleLine]

    def list_lines(self) -> Iterator[str]:
        """It, its first examples and what to do."""
        yield f"{self.severity} {self.check}: {self.what}"
        for example in self.examples:
            flat = " ".join(example.what.split())
            text = flat if len(flat) <= _EXAMPLE else f"{flat[:_EXAMPLE]}…"
            yield f"  {example.place}{': ' if text else ''}{text}"
        yield f"  {self.remedy}"


class MeasureLine(Figures):
    """A figure of the whole dataset."""

    name: str
    what: str
    values: dict[str, float | None]


class ConsumerLine(Figures):
    """What a consumer would do with the dataset as it stands."""

    consumer: str = Field(description="Its kind, as --for takes it.")
    title: str
    taken: int = Field(description="The number of rows that it takes.")
    rows: int
    wants_other_columns: bool = Field(description="Whether the form is none that it asks for.")
    what: str


class CheckReport(Report):
    """What was found in a preference dataset."""

    dataset: str
    form: str | None = Field(description="The form of its rows; null: no importer reads it.")
    rows: dict[str, int] = Field(description="By split; a file's is called all.")
    pairs: int
    severity: Severity | None = Field(description="The gravest finding; null: there is none.")
    counts: dict[Severity, int] = Field(description="The findings by severity.")
    findings: list[FindingLine]
    measures: list[MeasureLine]
    consumers: list[ConsumerLine]
    unknown: list[str] = Field(description="What could not be looked at, and why.")
    badge: str | None = Field(None, description="The line for a card, where a badge was written.")

    def fails_on(self, severity: FailOn) -> bool:
        """Whether a finding is as grave as this, or graver."""
        if severity == "never" or self.severity is None:
            return False
        return SEVERITIES.index(self.severity) <= SEVERITIES.index(severity)

    def summarize(self) -> str:
        """The findings in a few words, such as "2 errors, 1 warning"."""
        counted = [
            f"{count:,} {severity}{'' if count == 1 else 's'}"
            for severity, count in self.counts.items()
            if count
        ]
        return ", ".join(counted) or "nothing found"

    def show_consumers(self) -> Iterator[Block]:
        """What each consumer does, and those that ask for other columns."""
        shown = [(c.title, c.what) for c in self.consumers if not c.wants_other_columns]
        if shown:
            yield Grid(("consumer", "what it does with the rows as they stand"), shown)
        others = [f"{c.title} ({c.consumer})" for c in self.consumers if c.wants_other_columns]
        if others:
            yield (
                f"Other columns are asked for by {'; '.join(others)}. --for says what one of them "
                "lacks; prefdata export writes the form of each."
            )

    def show_findings(self) -> Iterator[Block]:
        """The findings in short, then each with its examples and what to do."""
        if self.findings:
            counted = [
                (f.severity, f.check, f"{f.count:,}", f"{f.of:,}", f"{f.share:.1%}")
                for f in self.findings
            ]
            yield Grid(("severity", "finding", "count", "of", "share"), counted, range(2, 5))
        for each in self.findings:
            yield "\n".join(each.list_lines())

    def show_measures(self) -> Iterator[Block]:
        """The figures of the whole dataset, and what could not be looked at."""
        if self.measures:
            yield "\n".join(f"{each.name}: {each.what}" for each in self.measures)
        if self.unknown:
            yield "\n".join(f"not looked at: {what}" for what in self.unknown)

    def describe_rows(self) -> str:
        """How many rows and pairs there are, and how they are read."""
        rows = sum(self.rows.values())
        splits = ", ".join(f"{name} {count:,}" for name, count in self.rows.items())
        form = f"read as {self.form}" if self.form else "no importer reads them"
        return f"{rows:,} rows ({splits}), {self.pairs:,} pairs; {form}"

    def blocks(self) -> list[Block]:
        """The dataset, the consumers, the findings, the measures, the badge."""
        return [
            f"{self.dataset}: {self.describe_rows()}\n{self.summarize()}",
            *self.show_consumers(),
            *self.show_findings(),
            *self.show_measures(),
            *([self.badge] if self.badge else []),
        ]


def _is_foreign(outlook: Outlook) -> bool:
    """Whether all its rows lack what the consumer asks for."""
    refused = sum(fate.count for fate in outlook.fates if fate.problem.effect == "refuses")
    return refused == outlook.rows


def report_checked(
    dataset: CheckedDataset, outlooks: Sequence[Outlook], found: Found
) -> CheckReport:
    """The report of what was found."""
    findings = sorted(found.findings, key=lambda each: SEVERITIES.index(each.severity))
    return CheckReport(
        dataset=dataset.name,
        form=dataset.form,
        rows={name or "all": count for name, count in dataset.rows.items()},
        pairs=dataset.pairs.drop_nulls(["chosen", "rejected"]).height,
        severity=findings[0].severity if findings else None,
        counts={s: sum(each.severity == s for each in findings) for s in SEVERITIES},
        findings=[
            FindingLine(
                check=each.check,
                severity=each.severity,
                what=each.what,
                remedy=each.remedy,
                count=each.count,
                of=each.of,
                share=each.share,
                examples=[ExampleLine(place=e.place, what=e.what) for e in each.examples],
            )
            for each in findings
        ],
        measures=[MeasureLine(**asdict(each)) for each in found.measures],
        consumers=[
            ConsumerLine(
                consumer=each.consumer.kind,
                title=each.consumer.title,
                taken=each.taken,
                rows=each.rows,
                wants_other_columns=_is_foreign(each),
                what=each.describe(),
            )
            for each in outlooks
        ],
        unknown=found.unknown,
    )
