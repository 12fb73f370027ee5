"""The page about a version of the dataset alone, without the tables of the run that made it."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from prefdata.dataset.find import find_version
from prefdata.dataset.manifest import ExportEntry, FileEntry, Manifest, read_manifest
from prefdata.dataset.names import name_content
from prefdata.dataset.verification.rows import find_record, read_rows
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.records.preference import PreferenceColumns
from prefdata.reports.page.content import Page, Section
from prefdata.reports.page.pairs import no_pairs, shape_pairs
from prefdata.reports.page.rows import make_exported_row
from prefdata.reports.page.sample import describe, sample_pairs
from prefdata.reports.page.sections.costs import show_asked
from prefdata.reports.page.sections.funnel import show_funnel
from prefdata.reports.page.sections.judges import show_judges_in_short
from prefdata.reports.page.sections.pairs import show_distributions, show_length_bias
from prefdata.reports.page.sections.prompts import MAX_PROMPTS, show_map

FORMLESS = "no export has its pairs with all their figures, as trl has"


def compose_version(version: str) -> Page:
    """The page about a version.

    Args:
        version: Which one; see `find_version`.

    Raises:
        ConfigError: There is no such version.
        TableError: It is damaged.
    """
    folder = find_version(version).folder
    manifest = read_manifest(folder)
    rows = read_version_pairs(folder, manifest)
    pairs = measure_pairs(rows) if rows.height else no_pairs()
    keys = ["pair_id", "prompt_id"]
    told = sample_pairs(pairs).join(rows, on=keys, maintain_order="left") if rows.height else rows
    of_pairs = [show_distributions(pairs), show_length_bias(pairs), _show_map(rows)]
    if not rows.height and any(manifest.main.splits.values()):
        of_pairs = [replace(each, lead=f"Nothing to show: {FORMLESS}.") for each in of_pairs]
    return Page(
        manifest.name,
        "A version of the dataset by itself. What the run's tables would tell is not here: "
        "transcripts of judges, dropped records, and pairs that a filter dropped.",
        [
            ("version", name_content(manifest.content_version)),
            ("content version", manifest.content_version[:12]),
            *((f"rows in {split}", f"{n:,}") for split, n in manifest.main.splits.items()),
            ("exports", ", ".join(manifest.exports)),
            ("made by", f"prefdata {manifest.prefdata_version}"),
        ],
        [
            show_funnel(manifest.stages),
            show_judges_in_short(manifest.labels.audit),
            *of_pairs,
            show_asked(manifest.stages),
        ],
        describe(
            [make_exported_row(row, row["split"]) for row in told.to_dicts()], pairs.height, 0
        ),
    )


def read_version_pairs(folder: str, manifest: Manifest) -> pl.DataFrame:
    """The rows of the first export that has pairs with all that the run knew of them, each with its
    split; none where no export has."""
    for entry in manifest.exports.values():
        if _has_pairs(entry):
            frames = [
                rows.with_columns(split=pl.lit(file.split))
                for file in entry.files
                if file.split
                for rows in _read_file(folder, file, entry)
            ]
            return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
    return pl.DataFrame()


def _has_pairs(entry: ExportEntry) -> bool:
    record = find_record(entry)
    return record is not None and issubclass(record, PreferenceColumns)


def _read_file(folder: str, file: FileEntry, entry: ExportEntry) -> list[pl.DataFrame]:
    content = read_rows(folder, file, find_record(entry))
    if content.problem:
        raise TableError(
            f"{storage.join(folder, file.path)}: {content.problem}",
            "Restore the file; prefdata verify names all damage.",
        )
    return list(content.pieces)


def measure_pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of PAIRS."""
    return shape_pairs(
        rows.with_columns(
            margin=pl.col("reward_margin"),
            judges=pl.col("judgments").list.eval(pl.element().struct.field("judge")).list.unique(),
            kept=pl.lit(True),
            **{
                f"{side}_length": _join_text(rows, side).list.join("\n\n").str.len_chars()
                for side in ("chosen", "rejected")
            },
        )
    )


def _show_map(rows: pl.DataFrame) -> Section:
    if not rows.height:
        return Section("diversity", "Diversity", "Nothing to show: there are no pairs.")
    texts = rows.select("prompt_id", "source", text=_join_text(rows, "prompt").list.join("\n\n"))
    first = texts.unique("prompt_id", keep="first").sort("prompt_id").head(MAX_PROMPTS)
    return show_map(first, None, None)


def _join_text(rows: pl.DataFrame, column: str) -> pl.Expr:
    """The contents of a column's turns, which are objects or their JSON texts."""
    if rows.schema[column] == pl.List(pl.String):
        turn = pl.element().str.json_path_match("$.content")
    else:
        turn = pl.element().struct.field("content")
    return pl.col(column).list.eval(turn)
