"""CHES of ordered pairs of responses, from one `hidden_sums` call per response.

CHES is the centered hidden embedding similarity of Unintentional Unalignment (arXiv 2410.08847),
Definition 2. Let S be the sum of the last-layer hidden states that predict a response's tokens:

    CHES(chosen, rejected) = <S_chosen, S_rejected> - |S_chosen|²

With the Gram matrix G = S Sᵀ of a prompt's n responses, CHES(i over j) = G[i,j] - G[i,i] for all
n (n - 1) ordered pairs, without further calls. The length-normalized form divides each sum by its
response's number of tokens: G[i,j] / (T_i T_j) - G[i,i] / T_i². The paper's baseline beside it is
the inner product of the two responses' last hidden states.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from prefdata.engines.base import CompletionSettings
from prefdata.inference.completions import ask_completions
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import matrix
from prefdata.messages.completion import Completion

COLUMNS = ("ches", "ches_normalized", "last_hidden_inner_product")
"""The measures of a pair. The higher its CHES, the likelier training on it lowers the chosen
response's probability."""

NOT_FINITE = "bad_response: the hidden states hold infinite or NaN entries"

_PAIRS_AT_ONCE = 4096
"""Two float64 vectors per pair are gathered: 256 MiB at 4,096 dimensions."""


def measure_pairs(
    model: str,
    responses: pl.DataFrame,
    pairs: pl.DataFrame,
    inference: Inference,
    completion: Completion = "all",
) -> pl.DataFrame:
    """Measure the CHES of ordered pairs.

    Args:
        model: The model whose hidden states are summed, by its name in params.yaml.
        responses: One row per response: response_id, prompt_id, the prompt's messages and tools,
            and what `select_completions` takes.
        pairs: chosen_id and rejected_id, and any other columns.
        inference: Where the model is asked.
        completion: What of the responses counts.

    Returns:
        The pairs, in their order, with COLUMNS (float64), tokens_chosen and tokens_rejected (the
        responses' lengths in tokens) and `fault`, the reason why a pair has no measures.
    """
    settings = CompletionSettings()
    states = ask_completions(inference, model, "hidden_sums", settings, responses, completion)
    positions = responses.select("response_id").with_row_index("position")
    sides = [
        pairs.select(response_id=f"{side}_id").join(
            positions, on="response_id", how="left", maintain_order="left"
        )["position"]
        for side in ("chosen", "rejected")
    ]
    errors = [states["error"].gather(side) for side in sides]
    fault = errors[0].zip_with(errors[0].is_not_null(), errors[1])
    sound = fault.is_null()
    measures = _measure(states, *(side.filter(sound).to_numpy() for side in sides))
    numbers = pl.Series("pair", np.flatnonzero(sound.to_numpy()), dtype=pl.UInt32)
    measured = pl.DataFrame(dict(zip(COLUMNS, measures.T, strict=True))).with_columns(
        numbers, finite=pl.all_horizontal(pl.col(*COLUMNS).is_finite())
    )
    rows = (
        pl.DataFrame({"fault": fault})
        .with_row_index("pair")
        .join(measured, on="pair", how="left", maintain_order="left")
    )
    columns = rows.select(
        *(pl.when("finite").then(name).alias(name) for name in COLUMNS),
        fault=pl.when(pl.col("finite").not_()).then(pl.lit(NOT_FINITE)).otherwise("fault"),
    )
    tokens = [states["n_tokens"].gather(side) for side in sides]
    return pairs.with_columns(
        *columns.get_columns(),
        tokens[0].alias("tokens_chosen"),
        tokens[1].alias("tokens_rejected"),
    )


def _measure(states: pl.DataFrame, chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """The COLUMNS of pairs, of shape (pairs, 3), whose responses are positions in `states`."""
    needed, positions = np.unique(np.concatenate([chosen, rejected]), return_inverse=True)
    used = states[needed]
    sums, last = matrix(used["hidden_sum"]), matrix(used["last_hidden"])
    tokens = used["n_tokens"].to_numpy()
    chosen, rejected = np.split(positions, 2)
    measures = np.empty((len(chosen), len(COLUMNS)))
    with np.errstate(invalid="ignore", over="ignore"):
        squares = np.einsum("nd,nd->n", sums, sums)
        for start in range(0, len(chosen), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            i, j = chosen[part], rejected[part]
            cross = np.einsum("nd,nd->n", sums[i], sums[j])
            measures[part, 0] = cross - squares[i]
            measures[part, 1] = cross / (tokens[i] * tokens[j]) - squares[i] / tokens[i] ** 2
            measures[part, 2] = np.einsum("nd,nd->n", last[i], last[j])
    return measures
