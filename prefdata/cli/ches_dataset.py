"""CHES on any existing preference dataset: scores, what would go, and a filtered copy.

LoglikelihoodSettings goes through the memo, so that a run that was interrupted goes on, and one with another
limit asks the model nothing.
"""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
import polars as pl

from prefdata.ches.measure import COLUMNS, measure_pairs
from prefdata.engines.base import MESSAGES, error_code
from prefdata.engines.config import ModelParams
from prefdata.engines.registry import load
from prefdata.errors import (
    ConfigError,
    DropRecord,
    ModelError,
    SourceError,
    StorageError,
    TooManyFaulty,
)
from prefdata.files import storage
from prefdata.hashing.digests import row_digests
from prefdata.hashing.ids import prompt_id
from prefdata.inference import Inference, Memo, Usage
from prefdata.inference.progress import Progress
from prefdata.reports.ches import Choice, figures, text
from prefdata.sources.preference_data import PreferenceData, open_preferences
from prefdata.sources.preferences import Form, form_of, named_columns

CHUNK_PAIRS = 2048
"""Scored at once; only its responses' vectors are in memory."""

MODEL = "model"
SCORES = "scores.parquet"
REPORT = "report.json"
_KIND_VALUES = 12

_PAIR: dict[str, Any] = {
    "row": pl.Int64,
    "prompt_id": pl.String,
    "messages": MESSAGES,
    "chosen": pl.String,
    "rejected": pl.String,
    "margin": pl.Float64,
}


def run(given: Namespace) -> tuple[dict[str, Any], str, TooManyFaulty | None]:
    """(report, the same for people, why it is not all well) of the command's arguments."""
    choice = _choice(given)
    for name in ("limit", "examples", "max_batch_tokens"):
        value = getattr(given, name)
        if value is not None and value < (name != "examples"):
            raise ConfigError(f"--{name.replace('_', '-')} {value}: a positive number was expected")
    named = named_columns(given.columns)
    model = ModelParams(
        engine=given.engine,
        model=given.model,
        revision=given.model_revision,
        dtype=given.dtype,
        device=given.device,
        max_batch_tokens=given.max_batch_tokens,
    )
    data = open_preferences(given.data, given.split, given.subset, given.revision)
    progress = Progress(given.quiet)
    scored = score_dataset(data, model, given.memo, named, given.limit, progress)
    for name, usage in scored.usage.items():
        progress.line(f"{name}: {Usage(**usage).line()}")
    report = report_of(scored, choice, given.score, given.examples)
    paths = {}
    if given.out:
        paths = write(scored, choice, report, given.out, given.add_columns)
    told = {**report, "models": scored.usage, "written": paths}
    return told, text(report, paths), _faults(scored, given.max_faulty_fraction)


def _choice(given: Namespace) -> Choice | None:
    if given.keep_quantile is not None and not 0 < given.keep_quantile <= 1:
        raise ConfigError(f"--keep-quantile {given.keep_quantile}: a share above 0, at most 1")
    if given.best_of_prompt is not None and given.best_of_prompt < 1:
        raise ConfigError(f"--best-of-prompt {given.best_of_prompt}: 1 or more was expected")
    limits = (given.keep_quantile, given.max_ches, given.best_of_prompt)
    if all(limit is None for limit in limits):
        if given.add_columns:
            raise ConfigError("--add-columns: there is no filtered copy without a limit")
        return None
    if not given.out and given.add_columns:
        raise ConfigError("--add-columns: the filtered copy needs --out FOLDER")
    return Choice(given.score, *limits)


@dataclass(frozen=True)
class Scored:
    """A dataset's pairs with their figures (`pairs`), and why other rows have none (`unscored`:
    row, reason, detail, fault)."""

    data: PreferenceData
    form: Form
    rows: int
    pairs: pl.DataFrame
    unscored: pl.DataFrame
    model: str
    usage: dict[str, Any]


def score_dataset(
    data: PreferenceData,
    model: ModelParams,
    memo: str | None,
    named: Mapping[str, str],
    limit: int | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Every pair's CHES under the model."""
    engine = load(MODEL, model)
    engine.require("hidden_sums")
    form, rows, pairs, unscored = _read(data, named, limit)
    inference = Inference({MODEL: engine}, Memo(memo) if memo else None, progress)
    done: list[pl.DataFrame] = []
    try:
        count = 0
        for chunk in _chunks(pairs):
            inference.label = f"{count}/{pairs.height} pairs"
            done.append(_score(chunk, inference))
            count += chunk.height
    finally:
        engine.close()
    scored = pl.concat(done).sort("row")
    failed = scored.filter(pl.col("fault").is_not_null()).select(
        "row", reason=error_code(pl.col("fault")), detail="fault", fault=pl.lit(True)
    )
    good = scored.filter(pl.col("fault").is_null()).drop("fault")
    if not good.height:
        raise ModelError(
            f"{data.name}: no pair could be scored; the first: {failed['detail'][0]}",
            "Look at the model's limits (the longest sequence) and at the dataset.",
        )
    usage = {name: used.model_dump() for name, used in inference.usage.items()}
    out = pl.concat([unscored, failed]).sort("row")
    return Scored(data, form, rows, good, out, engine.fingerprint, usage)


def write(scored: Scored, choice: Choice | None, report: Mapping[str, Any], out: str,
          add_columns: bool) -> dict[str, str]:  # fmt: skip
    """Scores, the filtered copy where there is a choice, and last the report. Returns the paths."""
    storage.make_folder(out)
    kept = choice.keep(scored.pairs) if choice else None
    table = scored.pairs.select("row", *COLUMNS, "tokens_chosen", "tokens_rejected", "margin")
    if kept is not None:
        table = table.with_columns(keep=kept)
    none = scored.unscored.select("row", "reason", "detail")
    paths = {"scores": storage.join(out, SCORES)}
    if kept is not None:
        paths["filtered"] = storage.join(out, scored.data.file)
        if paths["filtered"] == scored.data.name:
            raise StorageError(
                f"{out}: the filtered copy would replace {scored.data.name}",
                "Name another folder with --out.",
            )
        chosen = table.filter("keep")
        extra = chosen.select(COLUMNS) if add_columns else None
        content = scored.data.copy(chosen["row"].to_list(), extra)
        storage.write_bytes(paths["filtered"], content)
    whole = pl.concat([table, none], how="diagonal").sort("row")
    storage.write_bytes(paths["scores"], _parquet(whole))
    paths["report"] = storage.join(out, REPORT)
    storage.write_bytes(paths["report"], orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    return paths


def _faults(scored: Scored, limit: float) -> TooManyFaulty | None:
    """The error where more rows than the limit allows were broken or failed."""
    faults = scored.unscored.filter("fault")
    if faults.height <= limit * scored.rows:
        return None
    first = faults.row(0, named=True)
    return TooManyFaulty(
        f"{scored.data.name}: {faults.height} of {scored.rows} rows could not be scored; row "
        f"{first['row']}: {first['reason']}, {first['detail']}",
        "Mend the input or raise --max-rejected-fraction. The rest was scored.",
    )


def report_of(scored: Scored, choice: Choice | None, score: str, examples: int) -> dict[str, Any]:
    """All figures, for `--json` and for report.json."""
    reasons = scored.unscored.group_by("reason").len().sort("len", "reason", descending=True)
    return {
        "data": scored.data.name,
        "form": scored.form.name,
        "rows": scored.rows,
        "scored": scored.pairs.height,
        "unscored": dict(reasons.iter_rows()),
        "model": scored.model,
        **figures(_with_kinds(scored), choice, score, examples),
    }


def _read(
    data: PreferenceData, named: Mapping[str, str], limit: int | None
) -> tuple[Form, int, pl.DataFrame, pl.DataFrame]:
    """(form, rows read, pairs, rows that are no pair)."""
    form: Form | None = None
    pairs: list[tuple[Any, ...]] = []
    unscored: list[tuple[int, str, str, bool]] = []
    rows = 0
    for number, row in enumerate(islice(data.rows(), limit)):
        rows += 1
        try:
            if isinstance(row, DropRecord):
                raise row
            form = form or form_of(row, data.name, named)
            if not isinstance(row, dict):
                raise DropRecord("not_an_object", f"found {type(row).__name__}")
            pair = form.read(row)
        except DropRecord as reject:
            unscored.append((number, reject.reason, reject.problem, reject.reason != "tie"))
            continue
        messages = [{"role": r, "content": c} for r, c in pair.prompt]
        sides = (pair.chosen, pair.dropped, pair.margin)
        pairs.append((number, prompt_id(pair.prompt), messages, *sides))
    if form is None or not pairs:
        found = f"; the first: {unscored[0][1]}, {unscored[0][2]}" if unscored else ""
        raise SourceError(f"{data.name}: holds no pair in {rows} rows{found}")
    schema: dict[str, Any] = {
        "row": pl.Int64,
        "reason": pl.String,
        "detail": pl.String,
        "fault": pl.Boolean,
    }
    return (
        form,
        rows,
        pl.DataFrame(pairs, schema=_PAIR, orient="row"),
        pl.DataFrame(unscored, schema=schema, orient="row"),
    )


def _chunks(pairs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """By prompt, so that all responses to one are in a chunk and the memo's places are near."""
    ordered = pairs.sort("prompt_id", "row")
    groups = ordered.select(start=pl.col("prompt_id").is_first_distinct().arg_true())["start"]
    start = 0
    for place in [*groups.to_list()[1:], ordered.height]:
        if place - start >= CHUNK_PAIRS or place == ordered.height:
            yield ordered[start:place]
            start = place


def _score(pairs: pl.DataFrame, inference: Inference) -> pl.DataFrame:
    sided = pairs
    responses = []
    for side in ("chosen", "rejected"):
        ids = row_digests(pairs.select("prompt_id", text=side), ["prompt_id", "text"])
        sided = sided.with_columns(ids.alias(f"{side}_id"))
        responses.append(sided.select("prompt_id", "messages", response_id=f"{side}_id", text=side))
    # An existing dataset's responses count as finished: nothing says where one was cut off.
    distinct = pl.concat(responses).unique("response_id", maintain_order=True)
    found = measure_pairs(MODEL, distinct.with_columns(finished=True), sided, inference)
    return found.drop("chosen_id", "rejected_id")


def _with_kinds(scored: Scored) -> pl.DataFrame:
    """The pairs with the dataset's own short columns of few values (source, category …)."""
    wanted = set(scored.pairs["row"])
    rows = [r for n, r in enumerate(islice(scored.data.rows(), scored.rows)) if n in wanted]
    pairs = scored.pairs
    for name in rows[0]:
        values = [row.get(name) for row in rows]
        if name in scored.form.columns or not all(isinstance(v, str | None) for v in values):
            continue
        if 1 < len(set(values)) <= _KIND_VALUES:
            pairs = pairs.with_columns(pl.Series(f"kind {name}", values, dtype=pl.String))
    return pairs


def _parquet(frame: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.write_parquet(sink, compression="zstd")
    return sink.getvalue()
