"""The common order of several judges' rankings.

CycleAlign (arXiv 2310.16271): a black-box and a white-box model each rank a prompt's responses; the
longest order on which both agree is the pseudo label. A comparison makes a label where its two
responses stand, the same way round, in a longest common order; the rest is dropped. A judge ranks
by the mean of a response's P(win) against all others (Borda). Each annotator is a judge of their
own, on the prompts of which they labelled every response. With judge.demonstrations the agreed
comparisons are fed back to the judges (agreed.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.consensus.base import (
    COMPARISON,
    ROUNDING,
    Consensus,
    ConsensusConfig,
    labelled,
    tally_judgments,
)
from prefdata.consensus.win_matrix import batches
from prefdata.records.judgment import NOT_ANNOTATED, SPEAKER

_NEVER = -1.0e6


class AgreementRankingConfig(ConsensusConfig):
    kind: Literal["agreement_ranking"] = "agreement_ranking"
    rankers: list[str] | None = Field(
        None, min_length=2, description="Judges whose rankings must agree; null: all."
    )


class AgreementRanking(Consensus):
    """See the module."""

    config: AgreementRankingConfig

    def judges(self) -> Sequence[str]:
        return self.config.rankers or ()

    def decide(
        self, judgments: pl.DataFrame, prompts: pl.DataFrame, across: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        rankers = self.config.rankers
        rows = judgments if rankers is None else judgments.filter(pl.col("judge").is_in(rankers))
        counted = tally_judgments(rows)
        parts = [_on_common_order(some) for some in _by_candidates(rows)]
        none = counted.select(COMPARISON).clear().with_columns(common=pl.lit(0, dtype=pl.Int8))
        counted = counted.join(
            pl.concat([none, *parts]), on=COMPARISON, how="left", maintain_order="left"
        )
        side = pl.when(pl.col("mean") > 0.5).then(1).otherwise(-1)
        tie = (pl.col("mean") - 0.5).abs() <= ROUNDING
        # The label's own mean has to say what the common order says.
        off = ~tie & (pl.col("common").fill_null(0) != side)
        reason = (
            pl.when(pl.col("unscored") > 0)
            .then(pl.lit("too_few_judgments"))
            .when(off)
            .then(pl.lit("not_in_common_order"))
        )
        return labelled(counted, reason, self.config)


def _by_candidates(rows: pl.DataFrame) -> list[tuple[pl.DataFrame, np.ndarray]]:
    """(comparisons, (seats, n, k, k) wins) of all prompts with equally many candidates."""
    every = rows.select(COMPARISON).unique()
    seated = _seated(rows, every)
    most = seated["seats"].max()
    tables: list[list[tuple[pl.DataFrame, np.ndarray]]] = []
    for seat in range(most if isinstance(most, int) else 1):
        # Where a prompt has fewer rankers some sit twice, which changes nothing they all agree on.
        own = seated.filter(pl.col("seat") == pl.lit(seat) % pl.col("seats"))
        own = every.join(own, on=COMPARISON, how="left").select(*COMPARISON, p="preference")
        tables.append(list(batches(own.sort(COMPARISON))))
    return [
        (sizes[0][0], np.stack([matrices for _, matrices in sizes]))
        for sizes in zip(*tables, strict=True)
    ]


def _seated(rows: pl.DataFrame, every: pl.DataFrame) -> pl.DataFrame:
    """The rankers' rows with `seat`, from 0 within the prompt, and `seats`, how many it has."""
    said = rows.filter(~pl.col("unscored").str.starts_with(NOT_ANNOTATED).fill_null(False))
    numbered = said.select(SPEAKER).unique().sort(SPEAKER).with_row_index("speaker")
    asked = every.group_by("prompt_id").agg(asked=pl.len())
    scored = pl.col("preference").count().over("prompt_id", "speaker")
    return (
        said.join(numbered, on=SPEAKER, nulls_equal=True)
        .join(asked, on="prompt_id")
        .filter(pl.col("annotator").is_null() | (scored == pl.col("asked")))
        .with_columns(seat=pl.col("speaker").rank("dense").over("prompt_id").cast(pl.Int64) - 1)
        .with_columns(seats=pl.col("seat").max().over("prompt_id") + 1)
    )


def _on_common_order(some: tuple[pl.DataFrame, np.ndarray]) -> pl.DataFrame:
    """The comparisons with `common`: 1 where a stands before b in a longest common order, -1 the
    other way round, 0 in none."""
    rows, wins = some
    scored = ~np.isnan(wins)
    # Sorted before they are summed, so that the ids' order can't move the last bits.
    ordered = np.sort(np.where(scored, wins, 0.0), axis=3)
    standing = ordered.sum(axis=3) / np.maximum(1, scored.sum(axis=3))
    ahead = standing[:, :, :, None] - standing[:, :, None, :] > ROUNDING
    agreed = ahead.all(axis=0)
    longest = _longest_through(agreed)
    best = longest.max(axis=(1, 2), initial=0, keepdims=True)
    common = (longest == best) & (longest > 0)
    n, i, j = (rows[c].to_numpy() for c in ("matrix", "i", "j"))
    placed = common[n, i, j].astype(np.int8) - common[n, j, i].astype(np.int8)
    return rows.select(COMPARISON).with_columns(common=pl.Series(placed, dtype=pl.Int8))


def _longest_through(before: np.ndarray) -> np.ndarray:
    """(n, k, k) a strict partial order -> (n, k, k) edges of the longest chain that holds both i
    and then j; 0 where i does not stand before j."""
    between = np.where(before, 1.0, _NEVER)
    for via in range(before.shape[1]):
        through = between[:, :, via, None] + between[:, None, via, :]
        between = np.maximum(between, through)
    up = np.maximum(0, between.max(axis=1, initial=0))
    down = np.maximum(0, between.max(axis=2, initial=0))
    chain = up[:, :, None] + between + down[:, None, :]
    return np.where(before, chain, 0.0)
