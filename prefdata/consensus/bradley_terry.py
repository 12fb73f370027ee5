"""Bradley-Terry over a prompt's candidates: one strength each, fitted to all judgments at once.

Where comparisons contradict each other the likeliest strengths settle it (Bradley and Terry,
Biometrika 39, 1952; the soft wins are the mean judgments). The label is sigmoid(s_a - s_b). A
weak prior keeps strengths finite where one response wins everything; Newton's method from zero
makes the fit deterministic, and all prompts with equally many candidates are fitted together.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.consensus.base import (
    COMPARISON,
    NO_REASON,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
)
from prefdata.consensus.general import CYCLE
from prefdata.consensus.win_matrix import batches, circular

_STEPS = 50
_ENOUGH = 1e-10


class BradleyTerryConfig(ConsensusConfig):
    kind: Literal["bradley_terry"] = "bradley_terry"
    prior: float = Field(
        0.01, gt=0, le=10, description="Precision of the normal prior on a strength, in log-odds."
    )


class BradleyTerry(Consensus):
    """See the module."""

    config: BradleyTerryConfig

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        counted = tally_judgments(judgments)
        wins = counted.select(*COMPARISON, p="mean")
        fitted = []
        for rows, matrices in batches(wins):
            strength = fit(matrices, self.config.prior)
            n, i, j = (rows[c].to_numpy() for c in ("matrix", "i", "j"))
            odds = strength[n, i] - strength[n, j]
            fitted.append(
                rows.select(COMPARISON).with_columns(fit=pl.Series(1 / (1 + np.exp(-odds))))
            )
        none = wins.select(COMPARISON).clear().with_columns(fit=pl.lit(0.0))
        counted = counted.join(
            pl.concat([none, *fitted]), on=COMPARISON, how="left", maintain_order="left"
        ).join(circular(wins), on=COMPARISON, how="left", maintain_order="left")
        mark = pl.when(pl.col("cycle")).then(pl.lit(CYCLE))
        # Without a judgment of their own the two would be compared by the prior alone.
        p = pl.when(pl.col("mean").is_not_null()).then("fit")
        return labelled(counted, NO_REASON, self.config, p, mark)


def fit(wins: np.ndarray, prior: float) -> np.ndarray:
    """(n, k, k) soft wins, NaN where none -> (n, k) strengths in log-odds, the likeliest ones.

    Maximises sum over i < j of P log sigmoid(d) + (1 - P) log sigmoid(-d), d = s_i - s_j, minus
    prior/2 · |s|². Concave, so Newton's steps, halved where one would overshoot, lead there.
    """
    known = ~np.isnan(wins)
    observed = np.where(known, wins, 0.5)
    count, k = wins.shape[:2]
    strength = np.zeros((count, k))
    diagonal = np.arange(k)
    for _ in range(_STEPS):
        expected = 1 / (1 + np.exp(strength[:, None, :] - strength[:, :, None]))
        gradient = np.where(known, observed - expected, 0).sum(axis=2) - prior * strength
        weight = np.where(known, expected * (1 - expected), 0)
        hessian = -weight
        hessian[:, diagonal, diagonal] = weight.sum(axis=2) + prior
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        size = np.abs(step).max(axis=1, initial=0)
        # From zero a step past 1 in log-odds can overshoot; shorter ones can't diverge.
        strength = strength + step / np.maximum(1, size)[:, None]
        if (size < _ENOUGH).all():
            break
    return strength
