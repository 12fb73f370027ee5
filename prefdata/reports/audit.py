"""Audit: data/judgments, data/responses -> what can be said of every judge. Asks no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from prefdata.audit import biases
from prefdata.audit.agreement import annotators, between
from prefdata.audit.comparisons import KEYS, compared, sides, verdict
from prefdata.config.params import Params
from prefdata.consensus import calibration
from prefdata.consensus.win_matrix import win_matrices
from prefdata.errors import ConfigError, SourceError
from prefdata.files import storage
from prefdata.judges import registry as judges
from prefdata.pipelines import layout
from prefdata.pipelines.stages.base import engines
from prefdata.records.judgment import SPEAKER
from prefdata.reports.funnel import columns
from prefdata.tables import read_bucket, read_info

SUMMARY_PROMPTS = 10_000
"""What the manifest's figures are taken over, at most."""
SHOWN_ANNOTATORS = 20
"""Pairs of annotators in the table, those with the most comparisons first; --json has all."""
_SAID = ["judge", "unscored", "ties", "flips", "first", "longer", "matched", "own", "labels", "ECE"]
_LABELS = [*KEYS, "preference"]


def run(
    params: Params, labels: str | None, calibrate: str | None, matrices: str | None
) -> tuple[dict[str, Any], str]:
    """(figures, table) of the audit; writes temperatures and win matrices where asked."""
    if calibrate is not None and labels is None:
        raise ConfigError("--calibrate needs --labels", "Say which comparisons have a label.")
    rows = pl.concat(_compared(params))
    known = None if labels is None else read_labels(labels, rows)
    own = _models(params)
    figures = {
        name: audit(rows, name, own.get(name, []), known)
        for name in rows["judge"].unique().sort().to_list()
    }
    report = {"data": params.data, "judges": figures}
    notes = []
    if calibrate is not None:
        fitted = {n: f["calibration"] for n, f in figures.items() if f["calibration"]}
        kept = {n: {k: v for k, v in f.items() if k != "curve"} for n, f in fitted.items()}
        calibration.save(calibrate, calibration.Calibration.model_validate({"judges": kept}))
        notes.append(f"temperatures: {calibrate}; use: judge.consensus.calibration: {calibrate}")
    if matrices is not None:
        wins = win_matrices(rows)
        Path(matrices).parent.mkdir(parents=True, exist_ok=True)
        wins.write_parquet(matrices)
        notes.append(f"win matrices: {matrices}, {wins.height} of a prompt and judge each")
    return report, "\n\n".join([_shown(figures), *notes])


def audit(
    rows: pl.DataFrame, judge: str, own: Sequence[str], labels: pl.DataFrame | None
) -> dict[str, Any]:
    """All figures of one judge; `rows` are all judges' comparisons."""
    mine = rows.filter(pl.col("judge") == judge)
    others = rows.filter(pl.col("judge") != judge)
    said = [*KEYS, "dimension", "annotator", "group", "verdict"]
    agree = {
        name: between(mine.select(said), others.filter(pl.col("judge") == name).select(said))
        for name in others["judge"].unique().sort().to_list()
    }
    return {
        **biases.unscored(mine),
        "position": biases.position(mine),
        "ensemble": biases.ensemble(mine),
        "length": biases.length(mine),
        "win_rates": biases.win_rates(mine),
        "self_preference": biases.self_preference(mine, others, own),
        "agreement": agree,
        "annotators": annotators(mine),
        "labels": None
        if labels is None
        else between(mine.select(said), labels.select(*KEYS, "verdict")),
        "calibration": None if labels is None else calibrated(mine, labels),
        "drivers": biases.drivers(mine),
    }


def calibrated(mine: pl.DataFrame, labels: pl.DataFrame) -> dict[str, Any] | None:
    """Temperature, calibration errors before and after, and the curve; null without labels."""
    both = mine.drop_nulls("preference").join(
        labels.filter(pl.col("verdict") != 0).select(*KEYS, label="verdict"), on=KEYS
    )
    if not both.height:
        return None
    both = both.sort(*KEYS, *SPEAKER)
    p, label = both["preference"].to_numpy(), (both["label"] > 0).to_numpy().astype(np.float64)
    curve = [
        {"comparisons": n, "confidence": round(sure, 6), "accuracy": round(right, 6)}
        for n, sure, right in calibration.curve(p, label)
    ]
    return {**calibration.fit(p, label).model_dump(), "curve": curve}


def summary(params: Params) -> dict[str, dict[str, Any]]:
    """Each judge's biases in short, for the manifest; equal runs give equal figures.

    Over the first SUMMARY_PROMPTS prompts by id, and ids are hashes: a sample that stays the same
    however the tables are bucketed, and costs the export of a large run next to nothing.
    """
    frames: list[pl.DataFrame] = []
    prompts: set[str] = set()
    for frame in _compared(params):
        frames.append(frame)
        prompts.update(frame["prompt_id"].unique())
        if len(prompts) >= SUMMARY_PROMPTS:
            break
    rows = pl.concat(frames)
    if len(prompts) > SUMMARY_PROMPTS:
        last = sorted(prompts)[SUMMARY_PROMPTS - 1]
        rows = rows.filter(pl.col("prompt_id") <= last)
    found = {}
    for name in rows["judge"].unique().sort().to_list():
        mine = rows.filter(pl.col("judge") == name)
        shares = biases.unscored(mine)
        place, long = biases.position(mine), biases.length(mine)
        found[name] = {
            "comparisons": shares["comparisons"],
            "unscored": shares["unscored"],
            "ties": shares["ties"],
            "flips": place["flips"],
            "prefers_first": place["prefers_first"],
            "prefers_longer": long["prefers_longer"],
            "prefers_longer_matched": long["prefers_longer_matched"],
        }
    return found


def read_labels(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """KEYS, preference and verdict: a judge of the table by its name, or a file's rows.

    A file (.parquet, .csv or .jsonl) holds prompt_id, response_a, response_b and preference, P(a
    is better) in [0, 1]; the two responses may stand either way round.
    """
    if name in rows["judge"].unique().to_list():
        own = rows.filter(pl.col("judge") == name).drop_nulls("preference")
        return _mean_labels(own.select(_LABELS))
    readers: dict[str, Callable[[bytes], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".csv": pl.read_csv,
        ".jsonl": pl.read_ndjson,
    }
    reader = readers.get(Path(name).suffix)
    content = storage.read_bytes(name)
    if reader is None or content is None:
        known = ", ".join(rows["judge"].unique().sort().to_list())
        raise SourceError(
            f"--labels {name}: neither a judge of this run ({known}) nor a .parquet, .csv or "
            ".jsonl file that is there",
            "Name one of them.",
        )
    try:
        found = reader(content).select(*KEYS, pl.col("preference").cast(pl.Float64, strict=True))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(
            f"--labels {name}: {error}", f"Give the columns {', '.join(_LABELS)}."
        ) from error
    wrong = found.filter(~pl.col("preference").is_between(0, 1).fill_null(True))
    if wrong.height:
        raise SourceError(
            f"--labels {name}: {wrong.height} preferences lie outside 0 to 1, such as "
            f"{wrong['preference'][0]}",
            "preference is the probability that response_a is better.",
        )
    turn = pl.col("response_a") > pl.col("response_b")
    p = pl.col("preference")
    turned = found.drop_nulls().select(
        "prompt_id",
        response_a=pl.min_horizontal("response_a", "response_b"),
        response_b=pl.max_horizontal("response_a", "response_b"),
        preference=pl.when(turn).then(1 - p).otherwise(p),
    )
    return _mean_labels(turned)


def _mean_labels(rows: pl.DataFrame) -> pl.DataFrame:
    """One label a comparison: several people may have labelled the same two."""
    mean = rows.group_by(KEYS).agg(pl.col("preference").sort().mean()).sort(KEYS)
    return mean.with_columns(verdict=verdict(pl.col("preference")))


def _compared(params: Params) -> Iterator[pl.DataFrame]:
    """Bucket by bucket: numbers of every comparison, without the texts."""
    judgments, responses = (layout.table(params, name) for name in ("judgments", "responses"))
    buckets = read_info(judgments).buckets
    if read_info(responses).buckets != buckets:
        raise ConfigError(
            "data/judgments and data/responses are bucketed differently",
            "Run the stage judge again.",
        )
    for bucket in range(buckets):
        responses = read_bucket(responses, bucket, buckets, ["response_id", "text", "model"])
        said = read_bucket(judgments, bucket, buckets)
        yield compared(said, sides(responses))


def _models(params: Params) -> dict[str, list[str]]:
    """Judge -> fingerprints of the models it asks."""
    loaded = dict(engines(params).items())
    return {
        judge.name: sorted(
            {loaded[first_met(need, loaded)[0]].fingerprint for need in judge.requirements()}
        )
        for judge in judges.build(params.judge.judges)
    }


def _shown(figures: dict[str, dict[str, Any]]) -> str:
    """Three tables: biases, agreement, what drives verdicts."""
    rows = [tuple(_SAID)]
    for name, f in figures.items():
        labels, fitted = f["labels"] or {}, f["calibration"] or {}
        values = (
            f["unscored"], f["ties"], f["position"]["flips"], f["position"]["prefers_first"],
            f["length"]["prefers_longer"], f["length"]["prefers_longer_matched"],
            f["self_preference"]["prefers_own"], labels.get("agree"), fitted.get("ece_before"),
        )  # fmt: skip
        rows.append((name, *(_rate(value) for value in values)))
    parts = [columns(rows, right=range(1, len(_SAID)))]
    agree = [
        (one, other, f"{a['comparisons']:,}", *map(_rate, _agreed(a)))
        for one, f in figures.items()
        for other, a in f["agreement"].items()
        if one < other
    ]
    if agree:
        head = ("judge", "and", "both scored", "agree", "kappa", "tau")
        parts.append(columns([head, *agree], right=range(2, 6)))
    pairs = [pair for f in figures.values() for pair in f["annotators"]]
    if pairs:
        most = sorted(pairs, key=lambda pair: -pair["comparisons"])[:SHOWN_ANNOTATORS]
        people = [
            (p["annotator"], p["other"], f"{p['comparisons']:,}", *map(_rate, _agreed(p)))
            for p in most
        ]
        head = ("annotator", "and", "both labelled", "agree", "kappa", "tau")
        parts.append(columns([head, *people], right=range(2, 6)))
        if len(pairs) > len(most):
            parts.append(f"{len(pairs) - len(most):,} more pairs of annotators: --json")
    title = ("judge", "moved most by (log-odds a standard deviation, 95 %)")
    moved = [(name, _moved(f["drivers"])) for name, f in figures.items()]
    parts.append(columns([title, *moved], right=()))
    reasons = [
        f"{name} unscored: " + ", ".join(f"{code} {count}" for code, count in f["reasons"].items())
        for name, f in figures.items()
        if f["reasons"]
    ]
    return "\n\n".join([*parts, *reasons])


def _agreed(figures: dict[str, Any]) -> tuple[float | None, ...]:
    return figures["agree"], figures["kappa"], figures["tau"]


def _moved(found: list[dict[str, Any]]) -> str:
    clear = [d for d in found if d["low"] * d["high"] > 0][:4]
    said = [
        f"{d['feature']} {d['log_odds']:+.2f} ({d['low']:.2f} … {d['high']:.2f})" for d in clear
    ]
    return ", ".join(said) or "nothing whose interval leaves out 0"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
