"""The report of `prefdata verify`: what was checked of a version, and what was found."""

from __future__ import annotations

from pydantic import Field

from prefdata.dataset.names import name_content
from prefdata.dataset.verification.version import verify
from prefdata.reports.base import Block, Figures, Grid, Report


class CheckLine(Figures):
    """A check, and what it found."""

    looked_at: str = Field(description="What was looked at.")
    findings: int = Field(description="The number of findings.")
    named: list[str] = Field(description="The first of them: where, and what was found.")
    unknown: list[str] = Field(description="What could not be looked at, and why.")

    @property
    def result(self) -> str:
        """In a few words."""
        if self.findings:
            return f"{self.findings:,} found"
        return "not looked at in full" if self.unknown else "sound"


class Verified(Report):
    """What was checked of a version of the dataset."""

    folder: str = Field(description="The version's folder.")
    version: str | None = Field(description="Its content version; null: it has no manifest.")
    name: str | None = Field(description="The version's name; null: it has no manifest.")
    replayed: str | None = Field(
        description="How far its model calls came out the same when they were asked again; null: "
        "they were not."
    )
    sound: bool = Field(description="Whether nothing was found.")
    checks: dict[str, CheckLine]

    @property
    def findings(self) -> int:
        """The number of findings of all checks."""
        return sum(each.findings for each in self.checks.values())

    def blocks(self) -> list[Block]:
        """A line for each check, then every finding that is named."""
        rows = [(name, each.looked_at, each.result) for name, each in self.checks.items()]
        named = f", version {self.name}" if self.name else ""
        blocks: list[Block] = [
            f"{self.folder}{named}",
            Grid(("check", "looked at", "result"), rows),
        ]
        for name, each in self.checks.items():
            lines = [f"{name}: {what}" for what in each.named]
            if each.findings > len(each.named):
                lines.append(f"{name}: … and {each.findings - len(each.named):,} more")
            lines += [f"{name}: not looked at: {what}" for what in each.unknown]
            if lines:
                blocks.append("\n".join(lines))
        return [*blocks, *([self.replayed] if self.replayed else [])]


def report_verified(given: str, max_similarity: float) -> Verified:
    """Check a version; see `verify`."""
    version, manifest, checks = verify(given, max_similarity)
    return Verified(
        folder=version,
        version=manifest.content_version if manifest else None,
        replayed=manifest.receipt.describe() if manifest and manifest.receipt else None,
        name=name_content(manifest.content_version) if manifest else None,
        sound=not any(check.count for check in checks),
        checks={
            check.name: CheckLine(
                looked_at=check.looked_at,
                findings=check.count,
                named=check.named,
                unknown=check.unknown,
            )
            for check in checks
        },
    )
