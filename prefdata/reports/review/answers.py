"""The report of `prefdata review import`: what people answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.config.params import Params
from prefdata.errors import DropRecord
from prefdata.files import storage
from prefdata.files.rows import read_rows
from prefdata.records import Label
from prefdata.reports.base import Block, Figures, Grid, Report
from prefdata.reports.review.sample import read_judgments
from prefdata.review.agreement import Agreement, measure_agreement
from prefdata.review.answers import REASONS, Answer, collect_judgments
from prefdata.review.tools import argilla, label_studio
from prefdata.tables import bucket_of, read_bucket, read_info
from prefdata.tables.catalog import Catalog
from prefdata.tables.read import is_finished

SHOWN = 5
"""How many answers of each kind that is no judgment are named."""


class AnnotatorFigures(Figures):
    """What one annotator did."""

    judgments: int
    ties: int
    first: int = Field(description="Judgments for the response that stood first.")
    repeats: int = Field(description="Comparisons that were answered twice.")
    consistent: int = Field(description="Those of them that were answered in the same way.")


class ReviewImport(Report):
    """What `prefdata review import` read."""

    out: str = Field(description="The file of the judgments.")
    judgments: int
    comparisons: int = Field(description="The comparisons that they are of.")
    left_out: dict[str, int] = Field(description="Answers that are no judgments, by reason.")
    named: dict[str, list[str]] = Field(description="The first of them.")
    annotators: dict[str, AnnotatorFigures]
    agreement: Agreement | None = Field(
        description="Of people with the run's labels; null: it has no labels."
    )

    def blocks(self) -> list[Block]:
        """The judgments, what was left out, each annotator, and how to use the file."""
        blocks: list[Block] = [
            f"{self.judgments:,} judgments of {self.comparisons:,} comparisons: {self.out}"
        ]
        if self.left_out:
            why = [(reason, f"{n:,}", REASONS[reason]) for reason, n in self.left_out.items()]
            blocks.append(Grid(("no judgment", "answers", "why"), why, (1,)))
        if self.named:
            named = ((reason, each) for reason, all_ in self.named.items() for each in all_)
            blocks.append("\n".join(f"{reason}: {each}" for reason, each in named))
        head = ("annotator", "judgments", "ties", "for the first", "answered twice", "the same")
        rows = [
            (name, *(f"{n:,}" for n in (a.judgments, a.ties, a.first, a.repeats, a.consistent)))
            for name, a in self.annotators.items()
        ]
        blocks += [Grid(head, rows, range(1, 6))] if rows else []
        if self.agreement is not None:
            blocks.append("\n".join(self.agreement.lines()))
        if self.judgments:
            blocks.append(
                "to use them, add to judge.judges:\n"
                f"  - {{kind: human, judgments: {self.out}}}\nand run: prefdata run"
            )
        return blocks


def import_review(
    params: Params, paths: Sequence[str], out: str, take_unmarked: bool
) -> ReviewImport:
    """Read people's answers as judgments, and write those.

    Raises:
        SourceError: A file can't be read.
        TableError: The run has no judgments.
    """
    catalog = Catalog(params.data)
    keys = pl.concat([rows.select(COMPARISON).unique() for rows in read_judgments(catalog)])
    answers = [each for path in paths for each in read_answers(path, take_unmarked)]
    found = collect_judgments(answers, set(keys.iter_rows()))
    lines = b"".join(orjson.dumps(row) + b"\n" for row in found.judgments)
    storage.write_bytes(out, lines, setting="--out")
    reasons = {reason: found.left_out[reason] for reason in REASONS if reason in found.left_out}
    compared = {(row["prompt_id"], row["response_a"], row["response_b"]) for row in found.judgments}
    return ReviewImport(
        out=out,
        judgments=len(found.judgments),
        comparisons=len(compared),
        left_out={reason: len(all_) for reason, all_ in reasons.items()},
        named={
            reason: [f"{where}: {what}" for where, what in all_[:SHOWN]]
            for reason, all_ in reasons.items()
            if reason != "not_answered"
        },
        annotators={
            name: AnnotatorFigures(**vars(counts)) for name, counts in found.annotators.items()
        },
        agreement=_measure_agreement(catalog, found.judgments, found.drawn),
    )


def read_answers(path: str, take_unmarked: bool) -> Iterator[Answer]:
    """The answers in a file that a tool exported."""
    for row in read_rows(path):
        where, value = f"{path}:{row.number}", row.value
        if isinstance(value, DropRecord) or not isinstance(value, dict):
            answers: Iterator[Answer] = iter([Answer(None, fault="no_task")])
        elif label_studio.is_task(value):
            answers = label_studio.read_task(value)
        elif argilla.is_record(value):
            answers = argilla.read_record(value, take_unmarked)
        else:
            answers = iter([Answer(value.get("id"), fault="no_task")])
        for answer in answers:
            yield Answer(**{**vars(answer), "origin": where})


def _measure_agreement(
    catalog: Catalog,
    judgments: Sequence[Mapping[str, Any]],
    drawn: Mapping[tuple[str, str, str], tuple[str, float]],
) -> Agreement | None:
    labels = catalog.table("labels", Label)
    if not judgments or not is_finished(labels):
        return None
    info = read_info(labels)
    ids = {bucket_of(row["prompt_id"], info.buckets) for row in judgments}
    said = pl.concat([read_bucket(labels, bucket, info) for bucket in sorted(ids)])
    return measure_agreement(judgments, said, drawn)
