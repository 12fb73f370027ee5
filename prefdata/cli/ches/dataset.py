"""CHES of a preference dataset: a flow over it, a report of its pairs, a filtered copy.

The flow is `ches_params`; its tables say which pairs were measured and which are kept. Rows of the
dataset are matched with pairs by content: the prompt and both responses.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import polars as pl
import yaml

from prefdata.ches.measure import COLUMNS
from prefdata.cli.ches.rows import find_reasons, join_pairs, read_dataset
from prefdata.config.params import Params
from prefdata.config.presets import ches_params
from prefdata.engines.registry import ENGINES
from prefdata.errors import ConfigError, ModelError, TooManyFaulty
from prefdata.files import storage
from prefdata.filters.pairs.ches import ChesConfig
from prefdata.inference.progress import Progress
from prefdata.inference.usage import Usage
from prefdata.messages.completion import Completion
from prefdata.parts.validation import validate
from prefdata.reports.ches.figures import compute_figures, find_limit
from prefdata.reports.ches.report import ChesReport
from prefdata.sources.datasets import Dataset
from prefdata.sources.detect import open_dataset_source
from prefdata.sources.rows.pairs import find_annotations
from prefdata.tables.catalog import Catalog

SUGGESTED = 0.9
"""If no limit is asked for, the report shows what keeping this share would drop."""

SCORES, REPORT, TABLES, CARD = "scores.parquet", "report.json", "tables", "README.md"

_WHERE = "prefdata ches"


def run_ches(
    data: str,
    model: str,
    *,
    split: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
    columns: Mapping[str, str] | None = None,
    kind: str | None = None,
    limit: int | None = None,
    engine: str = "transformers",
    model_revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    max_batch_tokens: int = 8192,
    completion: Completion = "all",
    measure: str = "ches_normalized",
    max_quantile: float | None = None,
    max_value: float | None = None,
    best_of_prompt: int | None = None,
    out: str | None = None,
    add_columns: bool = False,
    memo: str | None = "data/memo",
    examples: int = 5,
    progress: Progress | None = None,
    beam_arguments: Sequence[str] = (),
) -> ChesReport:
    """Measure CHES of every pair of a preference dataset.

    Args:
        data: A file, a folder of data files, or a hub id.
        model: The model that is to be trained; a hub id or a folder.
        split: The split of a folder or hub dataset.
        subset: The configuration of a hub dataset.
        revision: The revision of a hub dataset.
        columns: The columns of prompt, chosen and rejected, if they have unusual names.
        kind: The kind of source that reads it; None: by its columns.
        limit: Read at most this many rows.
        engine: The engine that runs the model.
        model_revision: The model's revision on the hub.
        dtype: As in the model's settings in params.yaml, like the next two.
        device: The device to run the model on.
        max_batch_tokens: The most tokens in a forward pass.
        completion: What of the responses counts: see `prefdata.inference.completions`.
        measure: The measure for limits and rankings: ches or ches_normalized.
        max_quantile: Keep this share of the pairs, the lowest. At most one limit may be set.
        max_value: Keep the pairs up to this value.
        best_of_prompt: Keep this many pairs of each prompt, the lowest.
        out: The folder for scores, report, the flow's tables and, with a limit, the filtered copy
            in the dataset's own format and columns.
        add_columns: Add the measures to the filtered copy.
        memo: The folder of finished model calls.
        examples: The number of riskiest pairs in the report.
        progress: Receives the progress of the flow.
        beam_arguments: Options for Beam.

    Raises:
        ConfigError: An argument is out of range, or does not fit another.
        SourceError: The data can't be read, or holds no pair.
        ModelError: The model can't be asked, or no pair could be measured.
        StorageError: `out` can't be written, or the copy would replace the dataset.
    """
    limits = {
        "max_quantile": max_quantile,
        "max_value": max_value,
        "best_of_prompt": best_of_prompt,
    }
    wanted = {name: value for name, value in limits.items() if value is not None}
    if examples < 0:
        raise ConfigError(f"--examples {examples}: 0 or more was expected")
    _check_copy(bool(wanted), out, add_columns)
    settings = validate(
        ChesConfig,
        {"measure": measure, "completion": completion, **(wanted or {"max_quantile": SUGGESTED})},
        _WHERE,
    )
    named = {"split": split, "subset": subset, "revision": revision, "limit": limit}
    given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if columns:
        kind, given = kind or "preferences", {**given, "columns": dict(columns)}
    source = open_dataset_source(data, kind, given, default="preferences")
    annotations = find_annotations(source)
    policy = ENGINES.parse(
        {
            "engine": engine,
            "model": model,
            "revision": model_revision,
            "dtype": dtype,
            "device": device,
            "max_batch_tokens": max_batch_tokens,
        },
        _WHERE,
    )
    rows = read_dataset(source, annotations, copied_to=out if wanted else None)
    with _open_folder(out) as tables:
        limits_set = settings if wanted else None
        params = ches_params(
            source.config, policy, limits_set, tables, memo, completion, annotations
        )
        usage, fingerprint = _run(params, beam_arguments, progress)
        catalog = Catalog(tables)
        pairs = join_pairs(rows.pairs, catalog, filtered=bool(wanted))
        reasons = find_reasons(rows, pairs, catalog)
    if not pairs.height:
        raise ModelError(
            f"{data}: no pair could be measured; the first: {reasons['detail'][0]}",
            "Look at the model's limits (the longest sequence) and at the dataset.",
        )
    if not wanted:
        at_most = find_limit(pairs, measure, SUGGESTED)
        pairs = pairs.with_columns(keep=pl.col(measure) <= at_most)
    report = ChesReport(
        data=rows.dataset.name,
        form=rows.form,
        rows=rows.count,
        measured=pairs.height,
        unmeasured=_count_reasons(reasons),
        faults=int(reasons["fault"].sum()),
        first_fault=_describe_fault(reasons),
        model=fingerprint,
        models=usage,
        **compute_figures(pairs, settings, bool(wanted), examples),
    )
    if not out:
        return report
    copied = rows.dataset if wanted else None
    written = _write(report, pairs, reasons, copied, out, add_columns)
    return report.model_copy(update={"written": written})


def check_faults(report: ChesReport, max_faulty_fraction: float) -> None:
    """Raise TooManyFaulty if a larger fraction of the rows was at fault."""
    if report.faults > max_faulty_fraction * report.rows:
        raise TooManyFaulty(
            f"{report.data}: {report.faults} of {report.rows} rows could not be measured; "
            f"{report.first_fault}",
            "Mend the input or raise --max-faulty-fraction. The rest was measured.",
        )


def _check_copy(limited: bool, out: str | None, add_columns: bool) -> None:
    if add_columns and not limited:
        raise ConfigError("--add-columns: there is no filtered copy without a limit")
    if add_columns and not out:
        raise ConfigError("--add-columns: the filtered copy needs --out FOLDER")


def _run(
    params: Params, beam_arguments: Sequence[str], progress: Progress | None
) -> tuple[dict[str, Usage], str]:
    """Run the flow. Returns the model calls of the stage ches, and the model's fingerprint."""
    from prefdata.pipelines.run import run_flow

    run = run_flow(params, beam_arguments, progress, export=False)
    return run.usage["ches"], run.models["policy"]


@contextmanager
def _open_folder(out: str | None) -> Iterator[str]:
    """The folder of the flow's tables: inside `out`, or a temporary one."""
    if out:
        storage.make_folder(out)
        yield storage.join(out, TABLES)
        return
    with tempfile.TemporaryDirectory(prefix="prefdata-ches-", ignore_cleanup_errors=True) as folder:
        yield folder


def _count_reasons(reasons: pl.DataFrame) -> dict[str, int]:
    counts = reasons.group_by("reason").len().sort("len", "reason", descending=True)
    return dict(counts.iter_rows())


def _describe_fault(reasons: pl.DataFrame) -> str | None:
    faults = reasons.filter("fault")
    if not faults.height:
        return None
    row, reason, detail = faults.select("row", "reason", "detail").row(0)
    return f"row {row}: {reason}, {detail}"


def _write(
    report: ChesReport,
    pairs: pl.DataFrame,
    reasons: pl.DataFrame,
    dataset: Dataset | None,
    out: str,
    add_columns: bool,
) -> dict[str, str]:
    """Write the scores, the filtered copy if there is a dataset to copy, and last the report.
    Returns the paths."""
    scores = pairs.select("row", *COLUMNS, "tokens_chosen", "tokens_rejected", "margin", "keep")
    paths = {"scores": storage.join(out, SCORES)}
    if dataset is None:
        scores = scores.drop("keep")
    else:
        paths["filtered"] = storage.join(out, dataset.file)
        kept = scores.filter("keep")
        extra = kept.select(COLUMNS) if add_columns else None
        storage.write_bytes(paths["filtered"], dataset.copy(kept["row"].to_list(), extra))
    # Without it, `load_dataset` on the folder would read all Parquet files together.
    loaded = SCORES if dataset is None else dataset.file
    storage.write_bytes(storage.join(out, CARD), _make_card(loaded))
    none = reasons.select("row", "reason", "detail")
    sink = io.BytesIO()
    pl.concat([scores, none], how="diagonal").sort("row").write_parquet(sink, compression="zstd")
    storage.write_bytes(paths["scores"], sink.getvalue())
    paths["report"] = storage.join(out, REPORT)
    # Without the fields that vary between equal runs.
    figures = report.model_dump(exclude={"models", "written"})
    content = orjson.dumps(figures, option=orjson.OPT_INDENT_2) + b"\n"
    storage.write_bytes(paths["report"], content)
    return paths


def _make_card(file: str) -> bytes:
    """README.md of a folder of which `load_dataset` is to read one file."""
    configs = [{"config_name": "default", "data_files": file}]
    return f"---\n{yaml.safe_dump({'configs': configs})}---\n".encode()
