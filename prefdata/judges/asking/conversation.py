"""The conversations in which a judge model is asked."""

from __future__ import annotations

import polars as pl

from prefdata.judges.asking.delimiters import disarm
from prefdata.judges.base import Candidates
from prefdata.text.transcript import transcript

ONCE = pl.lit(0, dtype=pl.Int64).alias("sample_index")
"""The sample index of a judge's requests: each is sampled once."""


def build_turns(*contents: pl.Expr) -> pl.Expr:
    """A conversation: the user's turn, the assistant's, the user's, and so on."""
    roles = ("user", "assistant")
    return pl.concat_list(
        pl.struct(pl.lit(roles[n % 2]).alias("role"), content.alias("content"))
        for n, content in enumerate(contents)
    )


def append_to_last_turn(messages: pl.Expr, text: pl.Expr) -> pl.Expr:
    """The conversations with the text at the end of the last turn, after a blank line."""
    last = messages.list.last()
    content = pl.concat_str(last.struct.field("content"), text, separator="\n\n")
    turn = pl.struct(last.struct.field("role").alias("role"), content.alias("content"))
    return pl.concat_list(messages.list.head(messages.list.len() - 1), pl.concat_list(turn))


def disarm_prompts(candidates: Candidates) -> pl.DataFrame:
    """prompt_id and prompt (a transcript, disarmed): one row per prompt."""
    return candidates.prompts.select("prompt_id", prompt=disarm(transcript(pl.col("messages"))))


def disarm_responses(candidates: Candidates) -> pl.DataFrame:
    """response_id, prompt_id, prompt, response: one row per response, the texts disarmed."""
    return candidates.responses.select(
        "response_id", "prompt_id", response=disarm(pl.col("text"))
    ).join(disarm_prompts(candidates), on="prompt_id", how="left", maintain_order="left")
