"""The file of the judges' temperatures, and judgments at these temperatures."""

from __future__ import annotations

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from prefdata.consensus.calibration import Temperature
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.statistics.odds import log_odds, sigmoid


class Calibration(BaseModel):
    """The file: every judge's temperature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judges: dict[str, Temperature]


def save_calibration(path: str, calibration: Calibration) -> None:
    """Write the file."""
    content = orjson.dumps(calibration.model_dump(), option=orjson.OPT_INDENT_2)
    storage.write_bytes(path, content + b"\n")


def load_temperatures(path: str | None, where: str) -> dict[str, float]:
    """Judge -> temperature, as the file has them; empty where `path` is None.

    Raises ConfigError, naming the setting `where`, if the file is missing or is no calibration.
    """
    if path is None:
        return {}
    content = storage.read_bytes(path)
    if content is None:
        raise ConfigError(
            f"{where}: {path}: no such file",
            "Fit it on labelled comparisons: prefdata audit --labels FILE --calibrate FILE.",
        )
    try:
        judges = Calibration.model_validate_json(content).judges
    except ValidationError as error:
        raise ConfigError(
            f"{where}: {path}: not a file of temperatures",
            "Fit it again: prefdata audit --labels FILE --calibrate FILE.",
        ) from error
    return {name: judge.temperature for name, judge in judges.items()}


def apply_temperatures(judgments: pl.DataFrame, temperatures: dict[str, float]) -> pl.DataFrame:
    """The judgments with P(a ≻ b) at their judges' temperatures; 1 for a judge without one."""
    if not temperatures:
        return judgments
    names, values = pl.Series(list(temperatures)), pl.Series(list(temperatures.values()))
    inverse = 1 / pl.col("judge").replace_strict(names, values, default=1.0)
    tempered = sigmoid(log_odds(pl.col("preference")) * inverse)
    fitted = pl.col("judge").is_in(names.implode())
    return judgments.with_columns(preference=pl.when(fitted).then(tempered).otherwise("preference"))
