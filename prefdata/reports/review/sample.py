"""The report of `prefdata review export`: which comparisons people are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.config.params import Params
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.records import Judgment, Label, Prompt, Response
from prefdata.records.judgment import JUDGED
from prefdata.reports.base import Block, Report, join_counts
from prefdata.review.sample import DISAGREEMENT, draw_sample, measure_disagreement
from prefdata.review.tasks import Task, build_tasks
from prefdata.review.tools import argilla, label_studio
from prefdata.tables import Table, bucket_of, read_bucket, read_info
from prefdata.tables.catalog import Catalog
from prefdata.tables.read import is_finished

Tool = Literal["argilla", "label_studio"]
GUIDELINES = (
    "Read the prompt and both responses. Choose the response that you would rather have got; say "
    "that both are equally good only if you would not mind which. Which one stands first is chance."
)
SAMPLE = "sample.jsonl"

_WRITERS = {"argilla": argilla.write_files, "label_studio": label_studio.write_files}


class ReviewExport(Report):
    """What `prefdata review export` wrote."""

    comparisons: int = Field(description="The run's comparisons.")
    by_people: int = Field(description="Those that people have judged already; left out.")
    tasks: int
    strata: dict[str, int] = Field(description="The comparisons of each stratum.")
    repeated: int = Field(description="Tasks that show a comparison for the second time.")
    least_disagreement: float | None = Field(
        description="Of the comparisons chosen for it, the least."
    )
    files: list[str]

    def blocks(self) -> list[Block]:
        """The sample, and the files."""
        lines = [
            f"{self.tasks:,} tasks, of {self.comparisons:,} comparisons: "
            f"{join_counts(self.strata)}; shown twice {self.repeated:,}"
        ]
        if self.least_disagreement is not None:
            lines.append(
                "the judges of those chosen for it disagree with a chance of "
                f"{self.least_disagreement:.2f} or more"
            )
        if self.by_people:
            lines.append(f"people have judged {self.by_people:,} already: left out")
        return ["\n".join(lines), "\n".join(self.files)]


def export_review(
    params: Params,
    tool: Tool,
    out: str,
    *,
    size: int,
    random_share: float,
    repeated: int,
    show_judges: bool,
) -> ReviewExport:
    """Draw a sample of the run's comparisons and write it for a tool.

    Raises:
        TableError: A table is missing.
        ConfigError: There is nothing to judge.
    """
    catalog = Catalog(params.data)
    measured = pl.concat(list(_measure_buckets(catalog)))
    open_ones = measured.filter(~pl.col("by_people")).drop("by_people")
    if not open_ones.height:
        raise ConfigError(
            f"{params.data}: none of its {measured.height:,} comparisons is left to judge",
            "Make more responses (generate.n), or take the judge `human` out of judge.judges.",
        )
    sample = draw_sample(open_ones, size, random_share, repeated)
    tasks = list(_build_tasks(catalog, sample, show_judges))
    files = {
        **{
            f"{tool}/{name}": content for name, content in _WRITERS[tool](tasks, GUIDELINES).items()
        },
        SAMPLE: b"".join(orjson.dumps(row) + b"\n" for row in _describe_sample(sample, tasks)),
    }
    for name, content in files.items():
        storage.write_bytes(storage.join(out, name), content, setting="--out")
    once = sample.filter(~pl.col("is_repeat"))
    chosen = once.filter(stratum=DISAGREEMENT)["disagreement"].min()
    return ReviewExport(
        comparisons=measured.height,
        by_people=measured.height - open_ones.height,
        tasks=len(tasks),
        strata=dict(once.group_by("stratum").len().sort("stratum").iter_rows()),
        repeated=sample.height - once.height,
        least_disagreement=chosen if isinstance(chosen, float) else None,
        files=[storage.join(out, name) for name in files],
    )


def read_judgments(catalog: Catalog) -> Iterator[pl.DataFrame]:
    """The run's judgments without their traces, bucket by bucket."""
    table = catalog.table("judgments", Judgment)
    info = read_info(table)
    for bucket in range(info.buckets):
        yield read_bucket(table, bucket, info, JUDGED)


def _measure_buckets(catalog: Catalog) -> Iterator[pl.DataFrame]:
    labels = catalog.table("labels", Label)
    info = read_info(labels) if is_finished(labels) else None
    for bucket, rows in enumerate(read_judgments(catalog)):
        # Labels of other buckets than the judgments' are of another run.
        fits = info is not None and bucket < info.buckets
        said = read_bucket(labels, bucket, info) if fits and info is not None else None
        yield measure_disagreement(rows, said)


def _build_tasks(catalog: Catalog, sample: pl.DataFrame, show_judges: bool) -> Iterator[Task]:
    prompts = _read_by_id(catalog.table("prompts", Prompt), sample, "messages", "tools")
    responses = _read_by_id(
        catalog.table("responses", Response),
        sample,
        "response_id",
        "text",
        "thoughts",
        "tool_calls",
    )
    judges = _read_preferences(catalog, sample) if show_judges else None
    yield from build_tasks(
        sample.to_dicts(),
        {row["prompt_id"]: row for row in prompts},
        {row["response_id"]: row for row in responses},
        judges,
    )


def _read_by_id(table: Table, sample: pl.DataFrame, *columns: str) -> list[dict[str, Any]]:
    """The rows of the sample's prompts."""
    info, ids = read_info(table), sample["prompt_id"].unique()
    found = []
    for bucket in sorted({bucket_of(each, info.buckets) for each in ids}):
        rows = read_bucket(table, bucket, info, ["prompt_id", *columns])
        found += rows.filter(pl.col("prompt_id").is_in(ids.implode())).to_dicts()
    return found


def _read_preferences(
    catalog: Catalog, sample: pl.DataFrame
) -> dict[tuple[str, str, str], dict[str, float]]:
    keys = sample.select(COMPARISON).unique()
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for rows in read_judgments(catalog):
        said = rows.filter(pl.col("annotator").is_null()).drop_nulls("preference")
        mean = (
            said.join(keys, on=COMPARISON, how="semi")
            .sort(*COMPARISON, "judge", "dimension")
            .group_by(*COMPARISON, "judge", maintain_order=True)
            .agg(pl.col("preference").mean())
        )
        for prompt, a, b, judge, p in mean.iter_rows():
            found.setdefault((prompt, a, b), {})[judge] = p
    return found


def _describe_sample(sample: pl.DataFrame, tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
    for row, task in zip(sample.to_dicts(), tasks, strict=True):
        yield {"task_id": str(task.id), **row, "a_is_first": task.id.a_is_first}
