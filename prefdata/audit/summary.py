"""Each judge's biases in short, for the manifest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import polars as pl

from prefdata.audit import biases
from prefdata.audit.comparisons import join_differences, measure_responses
from prefdata.audit.policies import share_wins
from prefdata.records.judgment import JUDGED
from prefdata.tables import Table, read_bucket, read_info

MAX_PROMPTS = 10_000
"""The largest number of prompts in the figures."""


def compare_buckets(judgments: Table, responses: Table) -> Iterator[pl.DataFrame]:
    """Rows of `join_differences`, bucket by bucket, without the responses' texts."""
    judged_info, texts_info = read_info(judgments), read_info(responses)
    for bucket in range(judged_info.buckets):
        columns = ["response_id", "text", "policy", "model"]
        texts = read_bucket(responses, bucket, texts_info, columns)
        judged = read_bucket(judgments, bucket, judged_info, JUDGED)
        yield join_differences(judged, measure_responses(texts))


def summarize_judges(
    judgments: Table, responses: Table, policies: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Judge -> its figures, which are equal for equal runs; among them, for each of `policies` that
    has comparisons with another policy, the share that it won: "won strong".

    The figures are over the first MAX_PROMPTS prompts by id. Ids are hashes, so these are a random
    sample, the same for any number of buckets, and the export of a large run stays fast.
    """
    frames: list[pl.DataFrame] = []
    prompts: set[str] = set()
    for frame in compare_buckets(judgments, responses):
        frames.append(frame)
        prompts.update(frame["prompt_id"].unique())
        if len(prompts) >= MAX_PROMPTS:
            break
    rows = pl.concat(frames)
    if len(prompts) > MAX_PROMPTS:
        last = sorted(prompts)[MAX_PROMPTS - 1]
        rows = rows.filter(pl.col("prompt_id") <= last)
    figures = {}
    for name in rows["judge"].unique().sort().to_list():
        judged = rows.filter(pl.col("judge") == name)
        shares = biases.count_unscored(judged)
        position, length = biases.measure_position(judged), biases.measure_length(judged)
        figures[name] = {
            "comparisons": shares["comparisons"],
            "unscored": shares["unscored"],
            "ties": shares["ties"],
            "flips": position["flips"],
            "prefers_first": position["prefers_first"],
            "prefers_longer": length["prefers_longer"],
            "prefers_longer_matched": length["prefers_longer_matched"],
            **{f"won {p}": won for p, won in share_wins(judged).items() if p in policies},
        }
    return figures
