"""What a check of a dataset finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import polars as pl

from prefdata.consumers.forms import Form

Severity = Literal["error", "warning", "note"]
SEVERITIES = get_args(Severity)
"""The gravest first."""

MOST_EXAMPLES = 5
"""The examples of a finding."""


class Example(NamedTuple):
    """Where something was found, such as "train, row 12", and what."""

    place: str
    what: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with rows.

    Attributes:
        check: A short code, such as identical.
        severity: error: the rows teach something wrong, or nothing; warning: they may; note: worth
            knowing.
        what: What was found: a clause about the rows that are counted.
        remedy: What to do: a sentence.
        count: How many rows, prompts or responses.
        of: Of how many.
        examples: The first of them.
    """

    check: str
    severity: Severity
    what: str
    remedy: str
    count: int
    of: int
    examples: Sequence[Example] = ()

    @property
    def share(self) -> float:
        """The count as a share."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class Measure:
    """A figure of the whole dataset, neither good nor bad by itself."""

    name: str
    what: str
    values: Mapping[str, float | None]


@dataclass
class Found:
    """What all checks found.

    Attributes:
        unknown: What could not be looked at, and why.
    """

    findings: list[Finding] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def add_rows(
        self,
        check: str,
        severity: Severity,
        rows: pl.DataFrame,
        of: int,
        what: str,
        remedy: str,
    ) -> None:
        """Add a finding about these rows, if there are any.

        Args:
            rows: `place` of each and, where each has something of its own to say, `detail`.
        """
        if not rows.height:
            return
        # A row may hold many pairs.
        first = rows.unique("place", keep="first", maintain_order=True).head(MOST_EXAMPLES)
        details = first["detail"] if "detail" in first.columns else [""] * first.height
        examples = [Example(p, d or "") for p, d in zip(first["place"], details, strict=True)]
        self.findings.append(Finding(check, severity, what, remedy, rows.height, of, examples))


@dataclass(frozen=True)
class CheckedDataset:
    """A dataset as it was read.

    Attributes:
        name: What was asked for.
        form: How the importer calls its form; None: none reads it.
        rows: The rows of each split, by its name; a file's has none.
        forms: The forms of its rows, as consumers see them.
        kinds: For each column, the types of its values and how often each comes.
        pairs: Its pairs: see `PAIRS`.
        dropped: place, reason, detail and fault of the records that are no pair.
        annotations: The verdicts of its annotators: prompt_id, response_a, response_b, annotator,
            group, dimension, verdict (1: a, -1: b, 0: neither).
        unread: Why its pairs could not be read; None: they could.
    """

    name: str
    form: str | None
    rows: Mapping[str | None, int]
    forms: Sequence[Form]
    kinds: Mapping[str, Mapping[str, int]]
    pairs: pl.DataFrame
    dropped: pl.DataFrame
    annotations: pl.DataFrame
    unread: str | None = None

    @property
    def count(self) -> int:
        """The number of rows of all splits."""
        return sum(self.rows.values())


PAIRS = {
    "place": pl.String,
    "split": pl.String,
    "prompt_id": pl.String,
    "prompt": pl.String,
    **{
        f"{side}{name}": kind
        for side in ("chosen", "rejected")
        for name, kind in (
            ("_id", pl.String),
            ("", pl.String),
            ("_thoughts", pl.String),
            ("_calls", pl.Boolean),
            ("_score", pl.Float64),
        )
    },
}
"""The columns of the pairs. `prompt` is the text of all its turns. A response that has a label of
its own and no rival is a pair without the other side: its columns are null."""
