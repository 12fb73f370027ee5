"""CHES of ordered pairs of responses, from one hidden-sums call a response.

Centered hidden embedding similarity, Unintentional Unalignment (arXiv 2410.08847), Definition 2:
with S the sum over a response's tokens of the last-layer hidden states that predict them,
CHES(chosen, rejected) = <S_chosen, S_rejected> - |S_chosen|². With the Gram matrix G = S Sᵀ of a
prompt's n responses, CHES(i over j) = G[i,j] - G[i,i] for all n (n - 1) ordered pairs at no further
call. The length-normalised form divides each sum by its response's number of tokens. The paper's
baseline beside it is the inner product of the two responses' last hidden states.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from prefdata.engines.base import Settings
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import matrix

COLUMNS = ("ches", "ches_normalized", "last_hidden_inner_product")

_PAIRS_AT_ONCE = 4096
"""Two float64 vectors a pair are gathered: 256 MiB at 4,096 dimensions."""

NO_NUMBER = "bad_response: the hidden states hold infinite or NaN entries"


def measure_pairs(
    model: str, responses: pl.DataFrame, pairs: pl.DataFrame, inference: Inference
) -> pl.DataFrame:
    """The pairs, in their order, with COLUMNS, tokens_chosen, tokens_rejected and `fault`.

    `responses` hold response_id, prompt_id, messages (the prompt's), text and finished; `pairs`
    chosen_id and rejected_id. `fault` says why a pair has no figures.
    """
    asked = inference.ask(
        model,
        "hidden_sums",
        Settings(),
        responses.select("messages", "finished", prompt_id="prompt_id", completion="text"),
    )
    places = responses.select("response_id").with_row_index("prompt_id")
    sides = [
        pairs.select(response_id=f"{side}_id").join(
            places, on="response_id", how="left", maintain_order="left"
        )["prompt_id"]
        for side in ("chosen", "rejected")
    ]
    errors = [asked["error"].gather(side) for side in sides]
    fault = errors[0].zip_with(errors[0].is_not_null(), errors[1])
    good = fault.is_null()
    figures = _figures(asked, *(side.filter(good).to_numpy() for side in sides))
    rows = pl.Series("pair", np.flatnonzero(good.to_numpy()), dtype=pl.UInt32)
    found = pl.DataFrame({name: figures[:, n] for n, name in enumerate(COLUMNS)}).with_columns(
        rows, finite=pl.all_horizontal(pl.col(*COLUMNS).is_finite())
    )
    tokens = [asked["n_tokens"].gather(side) for side in sides]
    scored = (
        pl.DataFrame({"fault": fault})
        .with_row_index("pair")
        .join(found, on="pair", how="left", maintain_order="left")
    )
    figures_and_fault = scored.select(
        *(pl.when("finite").then(name).alias(name) for name in COLUMNS),
        fault=pl.when(pl.col("finite").not_()).then(pl.lit(NO_NUMBER)).otherwise("fault"),
    )
    return pairs.with_columns(
        *figures_and_fault.get_columns(),
        tokens[0].alias("tokens_chosen"),
        tokens[1].alias("tokens_rejected"),
    )


def _figures(asked: pl.DataFrame, chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """(pairs, COLUMNS) for responses that all have vectors, given by their places in `asked`."""
    needed, places = np.unique(np.concatenate([chosen, rejected]), return_inverse=True)
    some = asked[needed]
    sums, last = matrix(some["hidden_sum"]), matrix(some["last_hidden"])
    tokens = some["n_tokens"].to_numpy()
    one, other = np.split(places, 2)
    figures = np.empty((len(one), len(COLUMNS)))
    with np.errstate(invalid="ignore", over="ignore"):
        own = np.einsum("nd,nd->n", sums, sums)
        for start in range(0, len(one), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            i, j = one[part], other[part]
            cross = np.einsum("nd,nd->n", sums[i], sums[j])
            figures[part, 0] = cross - own[i]
            figures[part, 1] = cross / (tokens[i] * tokens[j]) - own[i] / tokens[i] ** 2
            figures[part, 2] = np.einsum("nd,nd->n", last[i], last[j])
    return figures
