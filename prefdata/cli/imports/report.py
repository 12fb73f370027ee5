"""What `prefdata import` read of a dataset, and the params file that relabels it."""

from __future__ import annotations

from typing import Any

import polars as pl
from pydantic import Field

from prefdata.config.starter import Starter
from prefdata.files import storage
from prefdata.records import Prompt
from prefdata.records.annotation import AnnotationKind
from prefdata.reports.base import Block, Figures, Grid, Report, join_counts
from prefdata.sources.dataset_source import DatasetSource
from prefdata.tables import read_info, read_table
from prefdata.tables.catalog import Catalog


class AnnotationFigures(Figures):
    """The annotations of one kind and dimension."""

    kind: AnnotationKind
    dimension: str | None
    annotations: int
    annotators: int
    groups: int
    with_strength: int
    with_justification: int


class ImportReport(Report):
    """What was read of a dataset."""

    dataset: str
    kind: str
    read: list[str] = Field(description="The columns that were read, all of them or in part.")
    unread: list[str] = Field(description="The fields that hold something and were not read.")
    records: int = Field(description="The annotations of all rows, and the rows without any.")
    prompts: int
    responses: int
    annotations: list[AnnotationFigures]
    dropped: dict[str, int] = Field(description="The number of dropped records, by reason.")
    faults: int = Field(description="The number of dropped records that are at fault.")
    table: str | None = Field(description="The table of prompts; null: none was kept.")
    params: str | None = Field(None, description="The params file that was written.")

    def blocks(self) -> list[Block]:
        """What was read and what was not, the annotations, and the counts."""
        lines = [
            f"{self.dataset} is read as {self.kind}",
            f"read: {', '.join(self.read)}",
            f"not read: {', '.join(self.unread) or 'nothing is left out'}",
        ]
        counts = [
            f"{self.prompts:,} prompts, {self.responses:,} responses, of {self.records:,} records",
            f"dropped: {join_counts(self.dropped) or 'none'} ({self.faults:,} at fault)",
        ]
        written = [("table", self.table), ("params", self.params)]
        counts += [f"{what}: {path}" for what, path in written if path]
        head = ("kind", "dimension", "annotations", "annotators", "groups", "strength", "reasons")
        rows = [
            (
                each.kind,
                each.dimension or "",
                *(
                    f"{n:,}"
                    for n in (
                        each.annotations,
                        each.annotators,
                        each.groups,
                        each.with_strength,
                        each.with_justification,
                    )
                ),
            )
            for each in self.annotations
        ]
        return ["\n".join(lines), Grid(head, rows, range(2, 7)), "\n".join(counts)]


def report_import(source: DatasetSource, data: str, out: str | None) -> ImportReport:
    """Report on the table of prompts that the stage ingest has made of a dataset.

    Args:
        source: The dataset's source.
        data: The folder of the table.
        out: The same, if it is kept.
    """
    table = Catalog(data).table("prompts", Prompt)
    info, prompts = read_info(table), read_table(table).select("responses", "annotations")
    unread = info.unread.get(source.name, [])
    wholly = {name for name in unread if "." not in name}
    return ImportReport(
        dataset=source.name,
        kind=source.kind,
        read=[name for name in source.first_row or () if name not in wholly],
        unread=unread,
        records=info.rows_in,
        prompts=info.rows,
        responses=int(prompts["responses"].list.len().sum()),
        annotations=_count_annotations(prompts),
        dropped=info.dropped,
        faults=info.faults,
        table=table.folder if out else None,
    )


def _count_annotations(prompts: pl.DataFrame) -> list[AnnotationFigures]:
    rows = prompts.select("annotations").drop_nulls().explode("annotations").unnest("annotations")
    reasoned = pl.any_horizontal(pl.col("justification", "justifications").is_not_null())
    counts = (
        rows.group_by("kind", "dimension")
        .agg(
            annotations=pl.len(),
            annotators=pl.col("annotator").n_unique(),
            groups=pl.col("group").drop_nulls().n_unique(),
            with_strength=pl.col("strength").count(),
            with_justification=reasoned.sum(),
        )
        .sort("kind", "dimension")
    )
    return [AnnotationFigures(**row) for row in counts.to_dicts()]


def write_starter(
    path: str, source: DatasetSource, report: ImportReport, settings: dict[str, Any], data: str
) -> None:
    """Write the params file that relabels the dataset: a model judges beside its annotators."""
    starter = Starter(
        {"kind": source.kind, "path": source.config.path, **settings},
        engine="transformers",
        model="OWNER/MODEL",
        annotations=list(dict.fromkeys(each.kind for each in report.annotations)),
        data=data,
        name="relabelled",
    )
    storage.write_bytes(path, starter.render(path).encode())
