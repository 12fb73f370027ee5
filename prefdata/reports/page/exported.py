"""The pairs of a version, from the first of its exports that has all that the run knew of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from prefdata.dataset.manifest import ExportEntry, FileEntry, Manifest
from prefdata.dataset.verification.rows import find_record, read_rows
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.lineage.exported import read_exported
from prefdata.records.preference import PreferenceColumns
from prefdata.reports.page.pairs import no_pairs, shape_pairs
from prefdata.reports.page.rows import Row, make_exported_row
from prefdata.reports.page.sections.prompts import MAX_PROMPTS

_PROMPTS = dict.fromkeys(("prompt_id", "source", "text"), pl.String)


@dataclass(frozen=True)
class ExportedPairs:
    """The pairs of a version.

    Attributes:
        folder: The version's folder.
        export: The export that they are read from; None: none has them.
        pairs: Rows of PAIRS.
        prompts: prompt_id, source and text of the first MAX_PROMPTS prompts by id.
    """

    folder: str
    export: str | None
    pairs: pl.DataFrame
    prompts: pl.DataFrame

    def tell(self, wanted: pl.DataFrame) -> dict[str, Row]:
        """The reader's rows of some pairs, by their ids, in the order of `wanted`.

        Args:
            wanted: pair_id and prompt_id.
        """
        found = {
            each.row["pair_id"]: make_exported_row(each.row, each.split)
            for each in read_exported(self.folder, wanted["prompt_id"].unique().sort())
            if each.export == self.export
        }
        return {name: found[name] for name in wanted["pair_id"] if name in found}


def read_exported_pairs(
    folder: str,
    manifest: Manifest,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> ExportedPairs:
    """Read the pairs of a version, a file at a time: only their figures are kept.

    Args:
        folder: The version's folder.
        manifest: Its manifest.
        advance: Told how many files of how many were read.

    Raises:
        TableError: A file is missing or damaged.
    """
    pairs, prompts = no_pairs(), pl.DataFrame(schema=_PROMPTS)
    export = next((name for name, each in manifest.exports.items() if _has_pairs(each)), None)
    if export is None:
        return ExportedPairs(folder, None, pairs, prompts)
    entry = manifest.exports[export]
    files = [file for file in entry.files if file.split]
    for number, file in enumerate(files, 1):
        for rows in _read_file(folder, file, entry):
            own = rows.with_columns(split=pl.lit(file.split))
            pairs = pl.concat([pairs, _measure_pairs(own)], rechunk=False)
            texts = own.select("prompt_id", "source", text=_join_turns(own, "prompt"))
            known = pl.concat([prompts, texts]).unique("prompt_id", keep="first")
            prompts = known.sort("prompt_id").head(MAX_PROMPTS)
        advance(number, len(files))
    return ExportedPairs(folder, export, pairs, prompts)


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


def _measure_pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of PAIRS."""
    judge = pl.element().struct.field("judge")
    return shape_pairs(
        rows.with_columns(
            margin=pl.col("reward_margin"),
            judges=pl.col("judgments").list.eval(judge).list.unique(maintain_order=True),
            kept=pl.lit(True),
            **{
                f"{side}_length": _join_turns(rows, side).str.len_chars()
                for side in ("chosen", "rejected")
            },
        )
    )


def _join_turns(rows: pl.DataFrame, column: str) -> pl.Expr:
    """The contents of a column's turns, which are objects or their JSON texts, as one text."""
    if rows.schema[column] == pl.List(pl.String):
        turn = pl.element().str.json_path_match("$.content")
    else:
        turn = pl.element().struct.field("content")
    return pl.col(column).list.eval(turn).list.join("\n\n")
