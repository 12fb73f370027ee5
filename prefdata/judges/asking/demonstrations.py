"""Showing a judge comparisons on which the judges agreed, before the one it is asked about.

They are earlier turns of the conversation: the same question in the same template, and the reply in
the form in which the judge is to give its own. Their texts are as neutral as those that are judged.
The response that was preferred stands first and second by turns, and both orders of a comparison are
asked after the same turns: a liking for a place that these teach still cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from prefdata.engines.base import MESSAGES
from prefdata.judges.asking.conversation import transcript
from prefdata.judges.asking.delimiters import neutral

_ANY_OTHER = ""


@dataclass(frozen=True)
class Demonstrations:
    """`rows` of `Demonstration`, of which `count` are shown, none of the prompt that is judged."""

    rows: pl.DataFrame
    count: int

    def beside(self, prompt_id: str) -> pl.DataFrame:
        """question, first, second and better (A or B), all neutral, in the order of `rank`."""
        others = self.rows.filter(pl.col("prompt_id") != prompt_id).sort("rank").head(self.count)
        chosen, rejected = neutral(pl.col("chosen")), neutral(pl.col("rejected"))
        stands_first = pl.int_range(pl.len()) % 2 == 0
        return others.select(
            question=neutral(transcript(pl.col("messages"))),
            first=pl.when(stands_first).then(chosen).otherwise(rejected),
            second=pl.when(stands_first).then(rejected).otherwise(chosen),
            better=pl.when(stands_first).then(pl.lit("A")).otherwise(pl.lit("B")),
        )


def after(
    demonstrations: Demonstrations | None,
    rows: pl.DataFrame,
    asked: Callable[[pl.DataFrame], pl.DataFrame],
    replies: Mapping[str, str],
) -> pl.DataFrame:
    """`rows` (place, messages) with the demonstrations' turns before their own.

    `asked` gives the messages that ask about the rows of `beside`, one turn each; `replies` says
    for A and B how a judge replies that prefers it.
    """
    if demonstrations is None or not demonstrations.rows.height:
        return rows
    own = demonstrations.rows["prompt_id"].to_list()
    before = []
    for place in (_ANY_OTHER, *own):
        shown = demonstrations.beside(place)
        reply = pl.struct(
            pl.lit("assistant").alias("role"),
            pl.col("better").replace_strict(dict(replies), return_dtype=pl.String).alias("content"),
        )
        said = asked(shown).with_columns(reply=shown.select(reply=reply)["reply"])
        turns = said.select(pl.concat_list("messages", pl.concat_list("reply"))).to_series()
        before.append(turns.explode().to_list())
    known = pl.DataFrame(
        {"shown": [_ANY_OTHER, *own], "before": before},
        schema={"shown": pl.String, "before": MESSAGES},
    )
    shown_to = pl.when(pl.col("place").is_in(own)).then("place").otherwise(pl.lit(_ANY_OTHER))
    return (
        rows.with_columns(shown=shown_to)
        .join(known, on="shown", how="left", maintain_order="left")
        .with_columns(messages=pl.concat_list("before", "messages"))
        .drop("shown", "before")
    )
