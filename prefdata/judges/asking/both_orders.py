"""Comparing two responses in both orders, so that a liking for a place cancels."""

from __future__ import annotations

import polars as pl

from prefdata.judges.asking.conversation import transcript
from prefdata.judges.asking.delimiters import neutral
from prefdata.judges.base import COMPARISON, Candidates, both_traces, judgments
from prefdata.statistics.odds import sigmoid

OPTIONS = ("A", "B")


def in_both_orders(candidates: Candidates) -> pl.DataFrame:
    """prompt_id, question, first, second: a row a comparison with a first, then one with b first.

    The texts are neutral.
    """
    questions = candidates.prompts.select(
        "prompt_id", question=neutral(transcript(pl.col("messages")))
    )
    texts = candidates.responses.select("response_id", text=neutral(pl.col("text")))
    joined = candidates.comparisons.select(COMPARISON).join(
        questions, on="prompt_id", how="left", maintain_order="left"
    )
    for side in ("a", "b"):
        of_side = texts.rename({"response_id": f"response_{side}", "text": f"text_{side}"})
        joined = joined.join(of_side, on=f"response_{side}", how="left", maintain_order="left")
    return pl.concat(
        joined.select("prompt_id", "question", first=f"text_{one}", second=f"text_{other}")
        for one, other in (("a", "b"), ("b", "a"))
    )


def from_both_orders(judge: str, candidates: Candidates, found: pl.DataFrame) -> pl.DataFrame:
    """Judgments from what was found of each row of `in_both_orders`.

    `found`: logprobs (of A and B), unscored, trace. The two log-odds are averaged: a liking for
    the first place, which adds the same to both, cancels. Where one is infinite (a written
    verdict) the two probabilities are: two verdicts that contradict each other are a tie.
    """
    count = candidates.comparisons.height
    odds = found.select(
        "unscored",
        "trace",
        odds=pl.col("logprobs").list.get(0) - pl.col("logprobs").list.get(1),
    )
    sides = [odds.head(count), odds.tail(count).with_columns(odds=-pl.col("odds"))]
    joined = pl.concat(
        [candidates.comparisons.select(COMPARISON)]
        + [
            side.rename({name: f"{name}_{order}" for name in side.columns})
            for side, order in zip(sides, ("f", "r"), strict=True)
        ],
        how="horizontal",
    )
    mean = (pl.col("odds_f") + pl.col("odds_r")) / 2
    forward, reverse = sigmoid(pl.col("odds_f")), sigmoid(pl.col("odds_r"))
    return judgments(
        judge,
        joined.with_columns(
            preference=pl.when(mean.is_finite())
            .then(sigmoid(mean))
            .otherwise((forward + reverse) / 2),
            forward=forward,
            reverse=reverse,
            unscored=pl.min_horizontal("unscored_f", "unscored_r"),
            trace=both_traces("trace_f", "trace_r", ("[a first]", "[b first]")),
        ),
    )


def kept(found: pl.DataFrame) -> pl.DataFrame:
    """`trace` of a verdict that was asked for alone: what was written, where it could not be read
    or may hold reasons."""
    bare = pl.col("unscored").is_null() & (pl.col("written").str.len_chars() <= 40)
    return found.with_columns(trace=pl.when(~bare.fill_null(False)).then("written"))
