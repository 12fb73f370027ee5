"""Bradley-Terry strengths over a prompt's responses."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.win_matrix import mark_cycles, stack_wins
from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)
from prefdata.consensus.general import CYCLE
from prefdata.parts.numbers import Real
from prefdata.statistics.odds import sigmoid

_STEPS = 50
_ENOUGH = 1e-10


class BradleyTerryConfig(ConsensusConfig):
    kind: Literal["bradley_terry"] = "bradley_terry"
    prior: Real = Field(
        0.01, gt=0, le=10, examples=[0.5],
        description="Precision of the normal prior on a strength, in log-odds.",
    )  # fmt: skip


class BradleyTerry(Consensus):
    """One strength per response, fitted to all judgments on a prompt at once.

    The likeliest strengths settle contradictions between comparisons (Bradley and Terry,
    Biometrika 39, 1952; the soft wins are the mean judgments). The label is sigmoid(s_a - s_b),
    flagged `cycle` where the two responses lie on a circle of majorities. A weak prior keeps
    strengths finite where one response wins everything; Newton's method from zero makes the fit
    deterministic, and all prompts with equally many responses are fitted together.
    """

    config: BradleyTerryConfig

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        tally = tally_judgments(judgments)
        wins = tally.select(*COMPARISON, p="mean")
        fitted = [wins.select(COMPARISON).clear().with_columns(fit=pl.lit(0.0))]
        for rows, matrices in stack_wins(wins):
            strength = fit_strengths(matrices, self.config.prior)
            n, i, j = (rows[c].to_numpy() for c in ("matrix", "i", "j"))
            p = pl.Series(sigmoid(strength[n, i] - strength[n, j]))
            fitted.append(rows.select(COMPARISON).with_columns(fit=p))
        tally = tally.join(
            pl.concat(fitted), on=COMPARISON, how="left", maintain_order="left"
        ).join(mark_cycles(wins), on=COMPARISON, how="left", maintain_order="left")
        flag = pl.when(pl.col("cycle")).then(pl.lit(CYCLE))
        # Without judgments of its own a comparison gets no label, though the fit implies one.
        preference = pl.when(pl.col("mean").is_not_null()).then("fit")
        return label_comparisons(tally, self.config, preference=preference, flag=flag)


def fit_strengths(wins: np.ndarray, prior: float) -> np.ndarray:
    """The likeliest strengths in log-odds, (n, k, k) soft wins -> (n, k); NaN is no comparison.

    Maximises sum over i < j of P log sigmoid(d) + (1 - P) log sigmoid(-d), d = s_i - s_j, minus
    prior/2 · |s|². Concave, so Newton's steps, halved where one would overshoot, lead there.
    """
    compared = ~np.isnan(wins)
    observed = np.where(compared, wins, 0.5)
    count, k = wins.shape[:2]
    strength = np.zeros((count, k))
    diagonal = np.arange(k)
    for _ in range(_STEPS):
        expected = sigmoid(strength[:, :, None] - strength[:, None, :])
        gradient = np.where(compared, observed - expected, 0).sum(axis=2) - prior * strength
        weight = np.where(compared, expected * (1 - expected), 0)
        hessian = -weight
        hessian[:, diagonal, diagonal] = weight.sum(axis=2) + prior
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        size = np.abs(step).max(axis=1, initial=0)
        # From zero a step past 1 in log-odds can overshoot; shorter ones can't diverge.
        strength = strength + step / np.maximum(1, size)[:, None]
        if (size < _ENOUGH).all():
            break
    return strength
