"""Demonstrations: labelled comparisons that a judge sees before the one it is asked about.

They are earlier turns of the conversation: the same request in the same template, with a reply in
the format that the judge itself has to use. Their texts are disarmed like those that are judged.
The preferred response stands first in every other demonstration, and both orders of a comparison
follow the same demonstrations, so any position bias that they teach still cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from prefdata.asking.delimiters import derive_boundary, disarm
from prefdata.hashing.digests import digest_text
from prefdata.messages.columns import TURNS
from prefdata.text.transcript import transcript

_ANY_OTHER = ""


@dataclass(frozen=True)
class Demonstrations:
    """The demonstrations to choose from.

    Args:
        rows: The columns of `Demonstration`.
        count: The number shown per prompt. None of them is on the prompt that is judged.
    """

    rows: pl.DataFrame
    count: int

    def choose_for(self, prompt_id: str) -> pl.DataFrame:
        """Choose the demonstrations to show before the comparisons of a prompt.

        Returns:
            prompt, first, second, the boundary of these three, and better (A or B), in the order
            of `rank`; the texts are disarmed.
        """
        others = self.rows.filter(pl.col("prompt_id") != prompt_id).sort("rank").head(self.count)
        others = others.with_columns(prompt=transcript(pl.col("messages")))
        chosen, rejected = disarm(pl.col("chosen")), disarm(pl.col("rejected"))
        stands_first = pl.int_range(pl.len()) % 2 == 0
        shown = others.select(
            prompt=disarm(pl.col("prompt")),
            first=pl.when(stands_first).then(chosen).otherwise(rejected),
            second=pl.when(stands_first).then(rejected).otherwise(chosen),
            better=pl.when(stands_first).then(pl.lit("A")).otherwise(pl.lit("B")),
        )
        digests = map(digest_text, map(pl.col, ("prompt", "first", "second")))
        return shown.with_columns(boundary=derive_boundary(*digests))


def prepend_demonstrations(
    demonstrations: Demonstrations | None,
    rows: pl.DataFrame,
    ask: Callable[[pl.DataFrame], pl.DataFrame],
    replies: Mapping[str, str],
) -> pl.DataFrame:
    """The rows with the demonstrations' turns before their own.

    Args:
        demonstrations: The demonstrations; None: show none.
        rows: prompt_id, messages.
        ask: Makes `messages`, one turn each, of the rows of `choose_for`.
        replies: The reply of a judge that prefers A, and of one that prefers B.
    """
    if demonstrations is None or not demonstrations.rows.height:
        return rows
    own = demonstrations.rows["prompt_id"].to_list()
    before = []
    for prompt_id in (_ANY_OTHER, *own):
        chosen = demonstrations.choose_for(prompt_id)
        reply = pl.struct(
            pl.lit("assistant").alias("role"),
            pl.col("better").replace_strict(dict(replies), return_dtype=pl.String).alias("content"),
        )
        asked = ask(chosen).with_columns(reply=chosen.select(reply=reply)["reply"])
        turns = asked.select(pl.concat_list("messages", pl.concat_list("reply"))).to_series()
        before.append(turns.explode().to_list())
    turns_before = pl.DataFrame(
        {"judged": [_ANY_OTHER, *own], "before": before},
        schema={"judged": pl.String, "before": TURNS},
    )
    judged = pl.col("prompt_id")
    return (
        rows.with_columns(
            judged=pl.when(judged.is_in(own)).then(judged).otherwise(pl.lit(_ANY_OTHER))
        )
        .join(turns_before, on="judged", how="left", maintain_order="left")
        .with_columns(messages=pl.concat_list("before", "messages"))
        .drop("judged", "before")
    )
