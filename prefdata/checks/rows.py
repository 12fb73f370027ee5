"""Rows that are no pair, columns whose values are not of one type, margins that are missing."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.checks.base import MOST_EXAMPLES, CheckedDataset, Example, Finding, Found

_REASONS: dict[str, tuple[str, Literal["error", "note"], str, str]] = {
    "identical_responses": (
        "identical",
        "error",
        "chosen and rejected are equal",
        "Leave them out: they teach nothing, and a trainer that finds the prompt as what both "
        "begin with takes the response for the prompt.",
    ),
    "empty_response": (
        "empty",
        "error",
        "chosen or rejected is empty",
        "Leave them out: an empty chosen response teaches silence.",
    ),
    "tie": ("tie", "note", "no response is preferred", "They make no pair."),
}
_DETAILS = 120


def check_form(dataset: CheckedDataset, found: Found) -> None:
    """Rows of which no importer can read a pair."""
    if not dataset.unread:
        return
    found.findings.append(
        Finding(
            "unread",
            "warning",
            f"no importer reads the rows, so nothing is said of their pairs: {dataset.unread}",
            "Name the columns (--columns prompt=…,chosen=…,rejected=…) or the --kind of source "
            "that reads them; docs: how to import a dataset.",
            dataset.count,
            dataset.count,
        )
    )


def check_rows(dataset: CheckedDataset, found: Found) -> None:
    """Rows that the importer reads as no pair, by reason."""
    for (reason,), rows in dataset.dropped.group_by("reason", maintain_order=True):
        name = str(reason)
        faults = bool(rows["fault"].any())
        check, severity, what, remedy = _REASONS.get(
            name,
            (
                name,
                "error" if faults else "note",
                f"no pair can be read ({name})" if faults else f"they are no pair ({name})",
                "See the details of the examples; docs: how to import a dataset.",
            ),
        )
        short = rows.with_columns(detail=pl.col("detail").str.slice(0, _DETAILS))
        found.add_rows(check, severity, short, dataset.count, what, remedy)


def check_types(dataset: CheckedDataset, found: Found) -> None:
    """Columns that hold values of several types."""
    for column, kinds in dataset.kinds.items():
        if len(kinds) < 2:
            continue
        ranked = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        held = ", ".join(f"{kind} in {count:,}" for kind, count in ranked)
        found.findings.append(
            Finding(
                "mixed_types",
                "warning",
                f"the column {column} holds {held} rows",
                "Bring it into one type: Parquet can't hold it, and trainers that look at the "
                "first row take all others for the same.",
                sum(count for _, count in ranked[1:]),
                sum(kinds.values()),
            )
        )


def check_margins(dataset: CheckedDataset, found: Found) -> None:
    """Rows whose margin is null, beside others that have one."""
    lacking = [f for f in dataset.forms if "margin" in f.row and f.row["margin"] is None]
    count = sum(form.count for form in lacking)
    if not count:
        return
    places = [Example(place) for form in lacking for place in form.places]
    found.findings.append(
        Finding(
            "null_margin",
            "warning",
            "the margin is null",
            "Remove the column, or give every row a number: TRL's RewardTrainer stops at a null.",
            count,
            dataset.count,
            places[:MOST_EXAMPLES],
        )
    )
