"""How far what a model returns now is from what the memo has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, median

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.engines.base import OPERATIONS, Operation

Split = Callable[[Sequence[str]], list[list[int]] | None]
"""Texts -> their tokens' ids; None where the model's tokenizer is not here."""

_NUMBERS = {
    "generate": ("cumulative_logprob",),
    "loglikelihood": ("logprob", "token_logprobs"),
    "choose": ("logprobs",),
    "reward": ("rewards",),
}


class Drift(BaseModel):
    """The results of the same requests, then and now. Figures that an operation has not are
    null."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    compared: int = Field(description="Requests with a result then and now.")
    identical: int = Field(description="Those whose results are the same to the last bit.")
    texts: int | None = Field(None, description="Those whose texts are the same.")
    unit: str | None = Field(None, description="What texts are compared by: tokens or characters.")
    first_difference: float | None = Field(
        None, description="Of texts that differ, the median place of the first difference, from 0."
    )
    shared_prefix: float | None = Field(
        None, description="The mean share of the longer text that lies before the first difference."
    )
    mean_delta: float | None = Field(
        None,
        description="The mean difference of log-probabilities (nats) or rewards, where texts are "
        "the same.",
    )
    max_delta: float | None = Field(None, description="The largest of these.")
    flips: int | None = Field(None, description="Requests whose likeliest option is another.")
    vector_delta: float | None = Field(
        None, description="The largest difference of a vector's numbers."
    )
    min_cosine: float | None = Field(None, description="The least cosine of a vector then and now.")


def measure_drift(
    operation: Operation, then: pl.DataFrame, now: pl.DataFrame, split: Split
) -> Drift:
    """Compare the results of requests.

    Args:
        operation: The operation.
        then: What the memo has.
        now: What was returned now, without failed requests.
        split: Takes texts into tokens.
    """
    both = then.join(now, on="key", suffix="_now").sort("key")
    same = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(f"{name}_now")) for name in OPERATIONS[operation].result
    )
    figures = {"compared": both.height, "identical": int(both.select(same.sum()).item())}
    return Drift(
        **figures,
        **(_compare_texts(both, split) if operation == "generate" else {}),
        **_compare_numbers(operation, both),
        **_compare_vectors(both),
    )


def _compare_texts(both: pl.DataFrame, split: Split) -> dict[str, int | float | str | None]:
    then, now = both["text"].to_list(), both["text_now"].to_list()
    tokens = split([*then, *now])
    units = tokens if tokens is not None else [[*map(ord, text)] for text in (*then, *now)]
    first, shares = [], []
    for one, other in zip(units[: len(then)], units[len(then) :], strict=True):
        place = _find_difference(one, other)
        longest = max(len(one), len(other))
        shares.append(place / longest if longest else 1.0)
        if one != other:
            first.append(place)
    return {
        "texts": sum(a == b for a, b in zip(then, now, strict=True)),
        "unit": "characters" if tokens is None else "tokens",
        "first_difference": median(first) if first else None,
        "shared_prefix": fmean(shares) if shares else None,
    }


def _find_difference(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _compare_numbers(operation: Operation, both: pl.DataFrame) -> dict[str, float | int | None]:
    if operation == "generate":
        # Other texts have other log-probabilities: that is no drift of numbers.
        both = both.filter(pl.col("text") == pl.col("text_now"))
    deltas: list[float] = []
    for name in _NUMBERS.get(operation, ()):
        for then, now in both.select(name, f"{name}_now").drop_nulls().iter_rows():
            one, other = np.atleast_1d(then), np.atleast_1d(now)
            if one.shape == other.shape:
                deltas += np.abs(one - other).tolist()
    found: dict[str, float | int | None] = {}
    if deltas:
        found = {"mean_delta": fmean(deltas), "max_delta": max(deltas)}
    if operation == "choose":
        best = [pl.col(name).list.arg_max() for name in ("logprobs", "logprobs_now")]
        found["flips"] = int(both.select((best[0] != best[1]).sum()).item())
    return found


def _compare_vectors(both: pl.DataFrame) -> dict[str, float]:
    deltas, cosines = [0.0], [1.0]
    names = [n for n in ("embedding", "hidden_sum", "last_hidden") if n in both.columns]
    for name in names:
        for then, now in both.select(name, f"{name}_now").drop_nulls().iter_rows():
            one, other = np.asarray(then, np.float64), np.asarray(now, np.float64)
            if one.shape != other.shape:
                return {"vector_delta": float("inf"), "min_cosine": -1.0}
            length = float(np.linalg.norm(one) * np.linalg.norm(other))
            deltas.append(float(np.abs(one - other).max(initial=0.0)))
            cosines.append(float(one @ other) / length if length else 1.0)
    return {"vector_delta": max(deltas), "min_cosine": min(cosines)} if names else {}
