"""A prompt's candidates as a matrix of wins, P(i ≻ j): raw, for preferences that may go in circles.

Nash learning (arXiv 2312.00886) and INPO (arXiv 2407.00617) learn from P(i ≻ j) itself, which no
score a candidate can hold where a beats b, b beats c and c beats a. The table of judgments keeps
every judge's P as it was said, whatever consensus ran; here it is laid out as matrices.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from prefdata.consensus.base import COMPARISON, ROUNDING

_KEYS = ("prompt_id", "judge", "annotator", "group")


def batches(wins: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """(rows, matrices) of all prompts with equally many candidates, for each such number k.

    `wins` holds prompt_id, response_a, response_b and p; rows come back with `matrix`, `i` and
    `j`: the comparison's place in the matrices (n, k, k), whose entry [i, j] is P(i ≻ j) and
    [j, i] one minus it, NaN where nothing compares the two.
    """
    sides = [wins.select("prompt_id", response=f"response_{side}") for side in ("a", "b")]
    candidates = (
        pl.concat(sides)
        .unique()
        .sort("prompt_id", "response")
        .with_columns(place=pl.int_range(pl.len()).over("prompt_id"), k=pl.len().over("prompt_id"))
    )
    placed = wins.join(
        candidates.rename({"response": "response_a", "place": "i"}),
        on=["prompt_id", "response_a"],
        maintain_order="left",
    ).join(
        candidates.select("prompt_id", response_b="response", j="place"),
        on=["prompt_id", "response_b"],
        maintain_order="left",
    )
    for (k,), rows in sorted(placed.group_by("k", maintain_order=True), key=lambda g: g[0]):
        numbered = rows.with_columns(matrix=pl.col("prompt_id").rank("dense").cast(pl.Int64) - 1)
        n, i, j = (numbered[c].to_numpy() for c in ("matrix", "i", "j"))
        p = numbered["p"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        matrices = np.full((int(n.max()) + 1, int(k), int(k)), np.nan)
        matrices[n, i, j], matrices[n, j, i] = p, 1 - p
        yield numbered, matrices


def in_cycle(matrices: np.ndarray) -> np.ndarray:
    """(n, k, k) wins -> (n, k, k) booleans: the two lie on one circle of majorities.

    Both reach each other over comparisons that are won by more than a tie.
    """
    reach = np.nan_to_num(matrices, nan=0.5) > 0.5 + ROUNDING
    for via in range(matrices.shape[1]):
        reach = reach | (reach[:, :, via, None] & reach[:, None, via, :])
    return reach & reach.transpose(0, 2, 1)


def circular(wins: pl.DataFrame) -> pl.DataFrame:
    """The comparisons of `wins` with `cycle`: whether its two responses lie on a circle."""
    parts = [
        rows.with_columns(
            cycle=pl.Series(
                in_cycle(matrices)[tuple(rows[c].to_numpy() for c in ("matrix", "i", "j"))]
            )
        )
        for rows, matrices in batches(wins)
    ]
    empty = wins.clear().with_columns(cycle=pl.lit(False)).select(*COMPARISON, "cycle")
    return pl.concat([empty, *(part.select(*COMPARISON, "cycle") for part in parts)])


def win_matrices(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row a prompt and judge or annotator: `responses` (k ids), `wins` (k lists of k), sorted.

    `wins[i][j]` is P(response i ≻ response j): null on the diagonal and where it is Unscored.
    `{"responses": ["x", "y"], "wins": [[null, 0.8], [0.2, null]]}`.
    """
    rows = judgments.group_by(*_KEYS, "response_a", "response_b").agg(
        p=pl.col("preference").sort_by("dimension").mean()
    )
    there = rows.select(*_KEYS, row="response_a", column="response_b", p="p")
    back = rows.select(*_KEYS, row="response_b", column="response_a", p=1 - pl.col("p"))
    sides = pl.concat([there, back])
    ids = sides.select(*_KEYS, row="row").unique()
    full = ids.join(ids.rename({"row": "column"}), on=_KEYS, nulls_equal=True).join(
        sides, on=[*_KEYS, "row", "column"], how="left", nulls_equal=True
    )
    return (
        full.sort(*_KEYS, "row", "column")
        .group_by(*_KEYS, "row", maintain_order=True)
        .agg("p")
        .group_by(_KEYS, maintain_order=True)
        .agg(responses="row", wins="p")
    )
