"""Calibration of a judge: one temperature, and the expected calibration error.

Guo et al., On Calibration of Modern Neural Networks (arXiv 1706.04599, Section 4.2): the log-odds
are divided by a temperature that makes labelled comparisons likeliest. It changes no verdict,
only how sure it is, which decides what the judge weighs beside others (MORE, arXiv 2312.07401).
"""

from __future__ import annotations

import numpy as np
import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.statistics.odds import log_odds, sigmoid

BINS = 10
_RANGE = (-7.0, 7.0)
_STEPS = 60


class Temperature(BaseModel):
    """A judge's temperature, and the comparisons it was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0)
    comparisons: int
    ece_before: float
    ece_after: float


class Calibration(BaseModel):
    """The file: every judge's temperature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judges: dict[str, Temperature]


def temper(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities at another temperature, (n,) -> (n,): sigmoid(log-odds / temperature)."""
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    return _sigmoid(np.log(inside / (1 - inside)) / temperature)


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    # Beyond 700 the exponential overflows, and the probability has long been 0 or 1.
    return 1 / (1 + np.exp(-np.clip(odds, -700, 700)))


def fit(p: np.ndarray, label: np.ndarray) -> Temperature:
    """The likeliest temperature for judgments (n,) in [0, 1] and labels (n,), 1 where a is better.

    The likelihood's slope in 1/temperature never falls, so halving finds its zero. Within
    e^-7 … e^7: where all judgments are right there is no best temperature, only colder ones.
    """
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    odds = np.log(inside / (1 - inside))
    low, high = _RANGE
    for _ in range(_STEPS):
        middle = (low + high) / 2
        inverse = np.exp(-middle)
        slope = float(((_sigmoid(odds * inverse) - label) * odds).sum())
        # Too cold (1/temperature too large) where the slope is positive.
        low, high = (middle, high) if slope > 0 else (low, middle)
    temperature = float(np.exp((low + high) / 2))
    return Temperature(
        temperature=temperature,
        comparisons=len(p),
        ece_before=ece(p, label),
        ece_after=ece(temper(p, temperature), label),
    )


def curve(p: np.ndarray, label: np.ndarray) -> list[tuple[int, float, float]]:
    """(comparisons, mean confidence, accuracy) of each of BINS equal bins of confidence.

    Confidence is that of the preferred response, from 0.5 to 1, so naming the responses the other
    way round changes nothing; a tie is half right.
    """
    sure = np.maximum(p, 1 - p)
    right = np.where(np.abs(p - 0.5) < 1e-9, 0.5, (p > 0.5) == (label > 0.5))
    place = np.minimum(((sure - 0.5) * 2 * BINS + 1e-9).astype(int), BINS - 1)
    rows = []
    for one in range(BINS):
        inside = place == one
        if inside.any():
            rows.append(
                (int(inside.sum()), float(sure[inside].mean()), float(right[inside].mean()))
            )
    return rows


def ece(p: np.ndarray, label: np.ndarray) -> float:
    """Expected calibration error: mean over comparisons of |accuracy - confidence| by bin."""
    rows = curve(p, label)
    total = sum(count for count, _, _ in rows)
    return sum(n * abs(accuracy - sure) for n, sure, accuracy in rows) / total if total else 0.0


def load_temperatures(path: str | None) -> dict[str, float]:
    """Judge -> temperature from the file; none where `path` is None."""
    if path is None:
        return {}
    content = storage.read_bytes(path)
    if content is None:
        raise ConfigError(
            f"judge.consensus.calibration: {path}: no such file",
            "Fit it on labelled comparisons: prefdata audit --labels FILE --calibrate FILE.",
        )
    try:
        judges = Calibration.model_validate_json(content).judges
    except ValidationError as error:
        raise ConfigError(
            f"judge.consensus.calibration: {path}: not a file of temperatures",
            "Fit it again: prefdata audit --labels FILE --calibrate FILE.",
        ) from error
    return {name: judge.temperature for name, judge in judges.items()}


def save(path: str, calibration: Calibration) -> None:
    """Write the file."""
    content = orjson.dumps(calibration.model_dump(), option=orjson.OPT_INDENT_2)
    storage.write_bytes(path, content + b"\n")


def calibrated(judgments: pl.DataFrame, temperatures: dict[str, float]) -> pl.DataFrame:
    """The judgments with each judge's P(a ≻ b) at its temperature; other judges' as they are."""
    if not temperatures:
        return judgments
    names, values = pl.Series(list(temperatures)), pl.Series(list(temperatures.values()))
    inverse = 1 / pl.col("judge").replace_strict(names, values, default=1.0)
    tempered = sigmoid(log_odds(pl.col("preference")) * inverse)
    known = pl.col("judge").is_in(names.implode())
    return judgments.with_columns(preference=pl.when(known).then(tempered).otherwise("preference"))
