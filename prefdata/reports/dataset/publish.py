"""The report of `prefdata publish`: what is pushed, or would be."""

from __future__ import annotations

from collections import Counter

from pydantic import Field

from prefdata.dataset.hub.plan import Plan
from prefdata.dataset.hub.push import Pushed
from prefdata.reports.base import Block, Figures, Grid, Report

MOST_LISTED = 60
"""The files that are listed one by one; more are listed by folder. JSON has them all."""


class FileLine(Figures):
    """A file to publish."""

    path: str
    rows: int
    bytes: int


class PublishReport(Report):
    """What is published of a version, and where."""

    repo: str
    url: str
    dry_run: bool = Field(description="Whether nothing was pushed.")
    private: bool
    folder: str = Field(description="The version's folder.")
    content_version: str
    tags: list[str]
    files: list[FileLine] = Field(description="All files, publication.json last.")
    bytes: int
    configs: dict[str, dict[str, str | list[str]]] = Field(
        description="What load_dataset reads, by name: by split, the pattern of its files, or "
        "their paths."
    )
    tables: dict[str, int] = Field(description="The tables of the record, with their rows.")
    warnings: list[str]
    commit: str | None = Field(None, description="Null: a dry run, or all was there already.")
    pushed_files: int = Field(0, description="The files in the commit.")
    pushed_bytes: int = 0
    removed_files: int = Field(0, description="Files of the last publication that were removed.")
    new_tags: list[str] = Field([], description="The tags that were made.")

    def blocks(self) -> list[Block]:
        """Files, configurations, warnings, and what was done."""
        blocks: list[Block] = [Grid(("file", "rows", "bytes"), self._list_files(), {1, 2})]
        patterns = [
            (name, split, pattern if isinstance(pattern, str) else _describe_paths(pattern))
            for name, splits in self.configs.items()
            for split, pattern in splits.items()
        ]
        if patterns:
            blocks.append(Grid(("load_dataset", "split", "files"), patterns))
        if self.warnings:
            blocks.append("\n".join(f"look at: {warning}" for warning in self.warnings))
        blocks.append("\n".join(self._describe_outcome()))
        return blocks

    def _list_files(self) -> list[tuple[str, str, str]]:
        lines = self.files
        if len(lines) > MOST_LISTED:
            folders: Counter[str] = Counter()
            rows: Counter[str] = Counter()
            sizes: Counter[str] = Counter()
            for file in self.files:
                folder = file.path.rpartition("/")[0]
                folders[folder] += 1
                rows[folder] += file.rows
                sizes[folder] += file.bytes
            named = [(f"{f or '.'}/ ({n:,} files)", rows[f], sizes[f]) for f, n in folders.items()]
        else:
            named = [(file.path, file.rows, file.bytes) for file in lines]
        total = f"{len(lines):,} files"
        return [
            *((name, f"{count:,}" if count else "", f"{size:,}") for name, count, size in named),
            (total, "", f"{self.bytes:,}"),
        ]

    def _describe_outcome(self) -> list[str]:
        place = f"{self.url}, tags {', '.join(self.tags)}"
        if self.dry_run:
            kind = "private " if self.private else ""
            return [f"dry run: one commit to the {kind}dataset {place}; nothing was pushed"]
        if self.commit is None:
            again = f"; tagged: {', '.join(self.new_tags)}" if self.new_tags else ""
            return [f"nothing to do: {place} holds this version already{again}"]
        removed = f", {self.removed_files:,} removed" if self.removed_files else ""
        return [
            f"published: {place}",
            f"commit {self.commit}: {self.pushed_files:,} files, {self.pushed_bytes:,} bytes"
            f"{removed}",
        ]


def _describe_paths(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"


def report_publication(
    plan: Plan, folder: str, url: str, private: bool, tags: list[str], pushed: Pushed | None
) -> PublishReport:
    """What was pushed; with None, what would be."""
    files = [
        FileLine(path=file.entry.path, rows=file.entry.rows, bytes=file.entry.bytes)
        for file in plan.files
    ]
    done = {}
    if pushed:
        done = {
            "commit": pushed.commit,
            "pushed_files": pushed.files,
            "pushed_bytes": pushed.bytes,
            "removed_files": pushed.removed,
            "new_tags": pushed.tags,
        }
    return PublishReport(
        repo=plan.repo,
        url=url,
        dry_run=pushed is None,
        private=private,
        folder=folder,
        content_version=plan.publication.content_version,
        tags=tags,
        files=files,
        bytes=sum(file.bytes for file in files),
        configs=plan.configs,
        tables=plan.publication.tables,
        warnings=plan.warnings,
        **done,
    )
