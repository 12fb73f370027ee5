"""The choice of labels that judges are shown as in-context demonstrations.

CycleAlign (Hong et al., arXiv 2310.16271): the rankings on which both judges agree become the
demonstrations of the prompted judge in the next cycle. In the paper the white-box judge is also
trained on them between cycles; prefdata trains nothing, so only the judges' prompts change.

Only labels without a flag on which every judgment agrees are chosen, and only of train prompts:
otherwise test prompts would influence the labels that are trained on. The surest come first, one
per prompt. Ties are broken by texts and probabilities, never by ids, so the choice depends neither
on the order of ids nor on the buckets.
"""

from __future__ import annotations

import polars as pl

from prefdata.comparisons.sides import join_texts, orient_labels
from prefdata.hashing.digests import row_digests
from prefdata.records.base import polars_schema
from prefdata.records.demonstration import Demonstration

_DIGITS = 3
"""Decimals of a soft label: its last bits vary with the batch that a model computed it in."""


def list_demonstrations(
    labels: pl.DataFrame, prompts: pl.DataFrame, responses: pl.DataFrame, max_chars: int
) -> pl.DataFrame:
    """`Demonstration` rows of the labels that may be shown, `rank` 0 in all.

    Args:
        labels: `Label` rows.
        prompts: Rows with prompt_id, messages and split.
        responses: Rows with response_id and text.
        max_chars: The most characters of prompt and responses together.
    """
    unanimous = orient_labels(labels).filter(pl.col("flag").is_null(), pl.col("agreement") == 1)
    of_train = unanimous.join(prompts.filter(pl.col("split") == "train"), on="prompt_id")
    rows = join_texts(of_train, responses).with_columns(rank=pl.lit(0, dtype=pl.Int64))
    turns = pl.col("messages").list.eval(pl.element().struct.field("content").str.len_chars())
    chars = turns.list.sum() + pl.col("chosen").str.len_chars() + pl.col("rejected").str.len_chars()
    return rows.filter(chars <= max_chars).select(polars_schema(Demonstration).names())


def rank_demonstrations(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """The `count` surest rows, one per prompt, with their `rank`. `rows` may be in any order."""
    digests = row_digests(rows, ["messages", "chosen", "rejected"])
    return (
        rows.with_columns(sure=pl.col("soft_label").round(_DIGITS), digest=digests)
        .sort("sure", "digest", descending=[True, False])
        .unique("prompt_id", keep="first", maintain_order=True)
        .head(count)
        .with_columns(rank=pl.int_range(pl.len(), dtype=pl.Int64))
        .select(rows.columns)
    )
