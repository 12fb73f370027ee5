"""The prompts of an evaluation: the split test of the run, or sources of their own."""

from __future__ import annotations

import polars as pl

from prefdata.accounting.faults import allows_faults
from prefdata.config.evaluate import EvaluateParams
from prefdata.errors import ConfigError, SourceError, TooManyFaulty
from prefdata.pipelines.evaluation.figures import count_values
from prefdata.pipelines.stages.base import Context
from prefdata.pipelines.stages.judge import PROMPT_COLUMNS
from prefdata.records import Prompt
from prefdata.records.base import polars_schema
from prefdata.records.dropped import no_dropped
from prefdata.reports.base import join_counts
from prefdata.sources.frames import OTHER_FOLD
from prefdata.sources.merge import drop_duplicates
from prefdata.sources.registry import SOURCES
from prefdata.tables import read_bucket, read_info
from prefdata.tables.read import is_finished

FEW = 30
"""Of fewer prompts an interval by the bootstrap is rough."""


def read_held_out(context: Context, settings: EvaluateParams) -> tuple[pl.DataFrame, list[str]]:
    """The held-out prompts by their ids, in the columns that judges read, and notes on them.

    Raises:
        ConfigError: There is none, or a source can't be read.
        TableError: The table prompts is missing or damaged.
        TooManyFaulty: More rows of the sources are faulty than ingest.max_faulty_fraction allows.
    """
    prompts, notes = _read_sources(context) if settings.sources else (_read_table(context), [])
    held_out = prompts.sort("prompt_id").head(settings.limit or prompts.height)
    if held_out.height < FEW:
        more = "add to evaluate.sources" if settings.sources else (
            "raise ingest.test_fraction, or name prompts of their own in evaluate.sources"
        )  # fmt: skip
        notes.append(f"intervals of so few prompts ({held_out.height}) are rough: {more}")
    return held_out, notes


def _read_table(context: Context) -> pl.DataFrame:
    table = context.table("prompts")
    prompts = _read_split(context, "test")
    if not prompts.height:
        fraction = context.params.ingest.test_fraction
        raise ConfigError(
            f"{table.folder}: none of its {read_info(table).rows:,} prompts is held out for "
            f"evaluation (in the split test; ingest.test_fraction: {fraction:g})",
            "Raise ingest.test_fraction, or bring more prompts, and run `prefdata ingest` again; "
            "or name prompts of their own in evaluate.sources.",
        )
    return prompts


def _read_split(context: Context, split: str) -> pl.DataFrame:
    table = context.table("prompts")
    info = read_info(table)
    columns = [*PROMPT_COLUMNS, "split"]
    buckets = (read_bucket(table, bucket, info, columns) for bucket in range(info.buckets))
    return pl.concat(rows.filter(pl.col("split") == split) for rows in buckets).drop("split")


def _list_trained(context: Context) -> pl.Series:
    """The ids of the prompts of the split train, and of those in other folds of it, which other
    rounds of a loop train on."""
    table = context.catalog.dropped("ingest")
    ids = [_read_split(context, "train")["prompt_id"]]
    if is_finished(table):
        info = read_info(table)
        for bucket in range(info.buckets):
            dropped = read_bucket(table, bucket, info, ["reason", "origin"])
            ids.append(dropped.filter(reason=OTHER_FOLD)["origin"].alias("prompt_id"))
    return pl.concat(ids)


def _read_sources(context: Context) -> tuple[pl.DataFrame, list[str]]:
    """The prompts of evaluate.sources that no round trains on."""
    settings, limits = context.params.evaluate, context.params.ingest
    assert settings is not None
    sources = context.runtime.parts(SOURCES, settings.sources or (), "evaluate.sources")
    prompts = [pl.DataFrame(schema={**polars_schema(Prompt), "order": pl.Int64})]
    dropped = [no_dropped()]
    for position, source in enumerate(sources):
        try:
            source.check()
        except SourceError as error:
            # Nothing was begun, so it is the command or params.yaml that has to change.
            raise ConfigError(error.problem, error.remedy) from error
        for rows, faulty in source.read(position, 0, limits.max_prompt_chars):
            prompts.append(rows)
            dropped.append(faulty)
    read, lost = drop_duplicates(pl.concat(prompts))[0], pl.concat(dropped)
    faults, limit = lost.filter("fault"), limits.max_faulty_fraction
    reasons = join_counts(count_values(lost["reason"]))
    rows_in = read.height + lost.height
    if not allows_faults(limit, faults.height, rows_in, faults["origin"].n_unique()):
        raise TooManyFaulty(
            f"evaluate.sources: {faults.height:,} of {rows_in:,} rows are faulty ({reasons}); the "
            f"first: {faults['origin'][0]}: {faults['detail'][0]}",
            "Mend the rows, or raise ingest.max_faulty_fraction.",
        )
    notes = [f"rows of evaluate.sources that hold no prompt: {reasons}"] if lost.height else []
    kept = read
    if is_finished(context.table("prompts")):
        kept = read.filter(~pl.col("prompt_id").is_in(_list_trained(context).implode()))
    seen = read.height - kept.height
    if seen:
        notes.append(
            f"left out: {seen:,} prompts of evaluate.sources are in the split train of "
            f"{context.table('prompts').folder}"
        )
    if not kept.height:
        raise ConfigError(
            f"evaluate.sources: of {rows_in:,} rows none is a held-out prompt"
            + "".join(f"; {note}" for note in notes),
            "Name sources of prompts that no policy is trained on.",
        )
    return kept.select(PROMPT_COLUMNS), notes
