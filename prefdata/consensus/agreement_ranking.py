"""The order that several judges' rankings have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import TOLERANCE, is_tie
from prefdata.comparisons.win_matrix import stack_wins
from prefdata.consensus.base import (
    Consensus,
    ConsensusConfig,
    label_comparisons,
    tally_judgments,
)
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER

_NEVER = -1.0e6


class AgreementRankingConfig(ConsensusConfig):
    kind: Literal["agreement_ranking"] = "agreement_ranking"
    rankers: list[str] | None = Field(
        None, min_length=2, examples=[["pairwise", "implicit_reward"]],
        description="Judges whose rankings must agree; null: all.",
    )  # fmt: skip


class AgreementRanking(Consensus):
    """Labels the comparisons within the longest order on which all rankers agree.

    CycleAlign (arXiv 2310.16271): a black-box and a white-box model each rank a prompt's
    responses; the longest order on which both agree is the pseudo label. A comparison gets a label
    where the order of its two responses is part of a longest common order; the others are dropped.
    A judge ranks responses by their mean P(win) against all others (Borda). Each annotator counts
    as a judge, on the prompts whose responses they annotated completely. With judge.demonstrations
    the agreed comparisons are shown to the judges (demonstrations.py).
    """

    config: AgreementRankingConfig

    def judges(self) -> Sequence[str]:
        return self.config.rankers or ()

    def decide(self, judgments: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
        rankers = self.config.rankers
        rows = judgments if rankers is None else judgments.filter(pl.col("judge").is_in(rankers))
        tally = tally_judgments(rows)
        empty = tally.select(COMPARISON).clear().with_columns(common=pl.lit(0, dtype=pl.Int8))
        placed = [_place_in_order(*group) for group in _stack_rankers(rows)]
        tally = tally.join(
            pl.concat([empty, *placed]), on=COMPARISON, how="left", maintain_order="left"
        )
        mean = pl.col("mean")
        side = pl.when(mean > 0.5).then(1).otherwise(-1)
        # The mean judgment, which is the label, has to agree with the common order.
        outside = ~is_tie(mean) & (pl.col("common").fill_null(0) != side)
        reason = (
            pl.when(pl.col("unscored") > 0)
            .then(pl.lit("too_few_judgments"))
            .when(outside)
            .then(pl.lit("not_in_common_order"))
        )
        return label_comparisons(tally, self.config, reason)


def _stack_rankers(rows: pl.DataFrame) -> list[tuple[pl.DataFrame, np.ndarray]]:
    """(comparisons, (seats, n, k, k) wins) of all prompts with equally many responses."""
    every = rows.select(COMPARISON).unique()
    seated = _seat_rankers(rows, every)
    seats = seated["seats"].max()
    tables: list[list[tuple[pl.DataFrame, np.ndarray]]] = []
    for seat in range(seats if isinstance(seats, int) else 1):
        # Rankers of a prompt with fewer of them take several seats: all still agree on the same.
        ranked = seated.filter(pl.col("seat") == pl.lit(seat) % pl.col("seats"))
        ranked = every.join(ranked, on=COMPARISON, how="left").select(*COMPARISON, p="preference")
        tables.append(list(stack_wins(ranked.sort(COMPARISON))))
    return [
        (sizes[0][0], np.stack([matrices for _, matrices in sizes]))
        for sizes in zip(*tables, strict=True)
    ]


def _seat_rankers(rows: pl.DataFrame, every: pl.DataFrame) -> pl.DataFrame:
    """The rankers' rows with `seat`, from 0 within the prompt, and `seats`, how many it has."""
    judged = rows.filter(~pl.col("unscored").str.starts_with(NOT_ANNOTATED).fill_null(False))
    speakers = judged.select(SPEAKER).unique().sort(SPEAKER).with_row_index("speaker")
    asked = every.group_by("prompt_id").agg(asked=pl.len())
    scored = pl.col("preference").count().over("prompt_id", "speaker")
    return (
        judged.join(speakers, on=SPEAKER, nulls_equal=True)
        .join(asked, on="prompt_id")
        .filter(pl.col("annotator").is_null() | (scored == pl.col("asked")))
        .with_columns(seat=pl.col("speaker").rank("dense").over("prompt_id").cast(pl.Int64) - 1)
        .with_columns(seats=pl.col("seat").max().over("prompt_id") + 1)
    )


def _place_in_order(rows: pl.DataFrame, wins: np.ndarray) -> pl.DataFrame:
    """The comparisons with `common`: 1 where a comes before b in a longest common order, -1 where b
    comes before a, else 0."""
    scored = ~np.isnan(wins)
    # Sorted before summing, so that the order of the ids can't change the last bits.
    ordered = np.sort(np.where(scored, wins, 0.0), axis=3)
    standing = ordered.sum(axis=3) / np.maximum(1, scored.sum(axis=3))
    ahead = standing[:, :, :, None] - standing[:, :, None, :] > TOLERANCE
    longest = _measure_chains(ahead.all(axis=0))
    best = longest.max(axis=(1, 2), initial=0, keepdims=True)
    common = (longest == best) & (longest > 0)
    n, i, j = (rows[c].to_numpy() for c in ("matrix", "i", "j"))
    placed = common[n, i, j].astype(np.int8) - common[n, j, i].astype(np.int8)
    return rows.select(COMPARISON).with_columns(common=pl.Series(placed, dtype=pl.Int8))


def _measure_chains(before: np.ndarray) -> np.ndarray:
    """The edges of the longest chain through i and then j; 0 where i does not come before j.

    (n, k, k) strict partial orders -> (n, k, k).
    """
    between = np.where(before, 1.0, _NEVER)
    for via in range(before.shape[1]):
        through = between[:, :, via, None] + between[:, None, via, :]
        between = np.maximum(between, through)
    up = np.maximum(0, between.max(axis=1, initial=0))
    down = np.maximum(0, between.max(axis=2, initial=0))
    chain = up[:, :, None] + between + down[:, None, :]
    return np.where(before, chain, 0.0)
