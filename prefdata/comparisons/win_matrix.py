"""Win matrices: P(i ≻ j) of all responses to a prompt, for preferences that go in circles.

Nash learning (arXiv 2312.00886) and INPO (arXiv 2407.00617) learn from P(i ≻ j) itself: no reward
per response can express that a beats b, b beats c and c beats a. The table of judgments keeps every
judge's own P, whatever the consensus; this module lays it out as matrices.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import prefers_a

_KEYS = ("prompt_id", "judge", "annotator", "group")


def stack_wins(wins: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """(rows, matrices) of all prompts with equally many responses, for each such number k.

    Args:
        wins: prompt_id, response_a, response_b and p, which is P(a ≻ b).

    Returns:
        The rows with `matrix`, `i` and `j`, which place the comparison in the matrices (n, k, k):
        entry [i, j] is P(i ≻ j) and [j, i] one minus it, NaN where nothing compares the two.
    """
    sides = [wins.select("prompt_id", response=f"response_{side}") for side in ("a", "b")]
    responses = (
        pl.concat(sides)
        .unique()
        .sort("prompt_id", "response")
        .with_columns(index=pl.int_range(pl.len()).over("prompt_id"), k=pl.len().over("prompt_id"))
    )
    indexed = wins.join(
        responses.rename({"response": "response_a", "index": "i"}),
        on=["prompt_id", "response_a"],
        maintain_order="left",
    ).join(
        responses.select("prompt_id", response_b="response", j="index"),
        on=["prompt_id", "response_b"],
        maintain_order="left",
    )
    for (k,), rows in sorted(indexed.group_by("k", maintain_order=True), key=lambda g: g[0]):
        numbered = rows.with_columns(matrix=pl.col("prompt_id").rank("dense").cast(pl.Int64) - 1)
        n, i, j = (numbered[c].to_numpy() for c in ("matrix", "i", "j"))
        p = numbered["p"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        matrices = np.full((int(n.max()) + 1, int(k), int(k)), np.nan)
        matrices[n, i, j], matrices[n, j, i] = p, 1 - p
        yield numbered, matrices


def find_cycles(matrices: np.ndarray) -> np.ndarray:
    """Whether two responses lie on a common circle of majorities, (n, k, k) wins -> (n, k, k).

    They do where each reaches the other by a chain of comparisons won by more than a tie.
    """
    reach = prefers_a(np.nan_to_num(matrices, nan=0.5))
    for via in range(matrices.shape[1]):
        reach = reach | (reach[:, :, via, None] & reach[:, None, via, :])
    return reach & reach.transpose(0, 2, 1)


def mark_cycles(wins: pl.DataFrame) -> pl.DataFrame:
    """The comparisons of `wins` with `cycle`: whether the two responses lie on a circle."""
    parts = [
        rows.with_columns(
            cycle=pl.Series(
                find_cycles(matrices)[tuple(rows[c].to_numpy() for c in ("matrix", "i", "j"))]
            )
        )
        for rows, matrices in stack_wins(wins)
    ]
    empty = wins.clear().with_columns(cycle=pl.lit(False)).select(*COMPARISON, "cycle")
    return pl.concat([empty, *(part.select(*COMPARISON, "cycle") for part in parts)])


def build_win_matrices(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per prompt and judge or annotator: `responses` (k ids), `wins` (k lists of k).

    `wins[i][j]` is P(response i ≻ response j): null on the diagonal and where it is Unscored.
    `{"responses": ["x", "y"], "wins": [[null, 0.8], [0.2, null]]}`. Sorted.
    """
    rows = judgments.group_by(*_KEYS, "response_a", "response_b").agg(
        p=pl.col("preference").sort_by("dimension").mean()
    )
    forward = rows.select(*_KEYS, row="response_a", column="response_b", p="p")
    reverse = rows.select(*_KEYS, row="response_b", column="response_a", p=1 - pl.col("p"))
    sides = pl.concat([forward, reverse])
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
