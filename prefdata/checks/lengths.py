"""Whether the longer response wins because it is longer, and what is too long for trainers."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from prefdata.checks.base import CheckedDataset, Found, Measure
from prefdata.filters.pairs.length_bias import share_longer_wins
from prefdata.statistics.logistic import fit_intervals

LEAST = 20
"""With fewer pairs no slope is fitted."""
MUCH = 0.1
"""How far the share of longer chosen responses may lie from a half before it is a warning."""
MAX_LENGTH = 1024
CHARACTERS = 4
"""The tokens that TRL's trainers take by default, and a usual token's characters."""


def check_lengths(dataset: CheckedDataset, found: Found) -> None:
    """How often the longer response is chosen, and by how much the odds grow with its length.

    The slope is that of a logistic regression of the label on the log ratio of the lengths in
    characters, without an intercept, with an interval clustered by prompt; as in the filter
    length_bias.
    """
    pairs = dataset.pairs.drop_nulls(["chosen", "rejected"])
    _check_limits(pairs, found)
    if pairs.height < LEAST:
        return
    ratio = pairs.select(
        ((pl.col("chosen").str.len_chars() + 1) / (pl.col("rejected").str.len_chars() + 1)).log()
    ).to_series()
    values = ratio.to_numpy()
    longer = share_longer_wins(values, np.ones(len(values)))
    prompt = pairs["prompt_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    fitted = fit_intervals(values[:, None], np.ones(len(values)), prompt)
    slope, low, high = (
        float(each[0]) * math.log(2) for each in (fitted.coefficient, fitted.low, fitted.high)
    )
    found.measures.append(
        Measure(
            "length",
            f"the longer response is chosen in {longer:.1%} of the pairs; log-odds per doubling of "
            f"the length {slope:.2f} ({low:.2f} to {high:.2f})",
            {"longer_chosen": longer, "log_odds_per_doubling": slope, "low": low, "high": high},
        )
    )
    if abs(longer - 0.5) < MUCH or low <= 0 <= high:
        return
    wins = ratio > 0 if longer > 0.5 else ratio < 0
    kind = "longer" if longer > 0.5 else "shorter"
    found.add_rows(
        "length",
        "warning",
        pairs.filter(wins),
        pairs.height,
        f"the {kind} response is chosen, far more often than in half of the pairs",
        f"A model learns to write {kind}: match or reweight with the filter length_bias.",
    )


def _check_limits(pairs: pl.DataFrame, found: Found) -> None:
    limit = MAX_LENGTH * CHARACTERS
    sides = pl.max_horizontal(pl.col(side).str.len_chars() for side in ("chosen", "rejected"))
    size = pl.col("prompt").str.len_chars() + sides
    found.add_rows(
        "long",
        "note",
        pairs.filter(size > limit).with_columns(detail=pl.format("{} characters", size)),
        pairs.height,
        f"prompt and response have more than {limit:,} characters, about {MAX_LENGTH:,} tokens",
        "Raise max_length: by default TRL's DPOTrainer cuts the end, RewardTrainer leaves them "
        "out.",
    )
