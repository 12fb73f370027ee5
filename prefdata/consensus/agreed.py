"""Which agreed comparisons are fed back to the judges as in-context demonstrations.

CycleAlign (Hong et al., arXiv 2310.16271): what both judges rank alike updates the demonstrations
that the prompted judge ranks by in the next cycle. There the white-box judge is also trained on
the agreed rankings between cycles; prefdata trains nothing, so here the judges' prompts alone
change.

Taken are labels that the consensus makes and does not flag and on which every judgment is the same,
of train prompts alone: else a test prompt would have a say in the labels that are trained on. The
surest come first, one a prompt. What decides follows from texts and probabilities, never from ids,
so that neither their order nor the bucketing can.
"""

from __future__ import annotations

import polars as pl

from prefdata.comparisons.sides import oriented, with_texts
from prefdata.hashing.digests import row_digests
from prefdata.records.base import polars_schema
from prefdata.records.demonstration import Demonstration

_DIGITS = 3
"""Of a soft label: the last bits move with the batch that a model computed it in."""


def agreed(
    labels: pl.DataFrame, prompts: pl.DataFrame, responses: pl.DataFrame, max_chars: int
) -> pl.DataFrame:
    """`Demonstration` rows of the labels that may be shown, `rank` 0 in all.

    `labels` are consensus rows of `Judgment`; `prompts` hold prompt_id, messages and split,
    `responses` response_id and text. Question and responses have `max_chars` together at most.
    """
    sure = oriented(labels).filter(pl.col("flag").is_null(), pl.col("agreement") == 1)
    of_train = sure.join(prompts.filter(pl.col("split") == "train"), on="prompt_id")
    rows = with_texts(of_train, responses).with_columns(rank=pl.lit(0, dtype=pl.Int64))
    asked = pl.col("messages").list.eval(pl.element().struct.field("content").str.len_chars())
    chars = asked.list.sum() + pl.col("chosen").str.len_chars() + pl.col("rejected").str.len_chars()
    return rows.filter(chars <= max_chars).select(polars_schema(Demonstration).names())


def first(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """The `count` rows that come first, one a prompt, with their `rank`; whatever order they are
    given in."""
    digests = row_digests(rows, ["messages", "chosen", "rejected"])
    return (
        rows.with_columns(sure=pl.col("soft_label").round(_DIGITS), digest=digests)
        .sort("sure", "digest", descending=[True, False])
        .unique("prompt_id", keep="first", maintain_order=True)
        .head(count)
        .with_columns(rank=pl.int_range(pl.len(), dtype=pl.Int64))
        .select(rows.columns)
    )
