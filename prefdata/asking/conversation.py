"""The conversations in which a model is asked about prompts and responses."""

from __future__ import annotations

import orjson
import polars as pl

from prefdata.asking.delimiters import disarm
from prefdata.messages.chat_form import parse_tools
from prefdata.text.transcript import transcript

_TOOLS = "[Prompt tools]\n{}\n[End of prompt tools]"
"""The block of the tools. Its title begins as that of the prompt does, so disarmed texts can't
close it."""

ONCE = pl.lit(0, dtype=pl.Int64).alias("sample_index")
"""The sample index of requests that are sampled once."""


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


def disarm_prompts(prompts: pl.DataFrame) -> pl.DataFrame:
    """prompt_id and prompt (a transcript, disarmed): one row per prompt.

    Where the prompt has tools, they stand before it in a block of their own.

    Args:
        prompts: prompt_id, messages and, where there are any, tools.
    """
    shown = prompts.select("prompt_id", prompt=transcript(pl.col("messages")))
    shown = shown.with_columns(prompt=disarm(pl.col("prompt")))
    if "tools" not in prompts.columns or prompts["tools"].null_count() == prompts.height:
        return shown
    offered = prompts["tools"].unique().drop_nulls()
    described = pl.DataFrame(
        {"tools": offered, "block": [_describe_tools(tools) for tools in offered]},
        schema={"tools": pl.String, "block": pl.String},
    ).with_columns(block=pl.format(_TOOLS, disarm(pl.col("block"))))
    blocks = prompts.select("tools").join(described, on="tools", how="left", maintain_order="left")
    return shown.with_columns(blocks["block"]).select(
        "prompt_id", prompt=pl.concat_str("block", "prompt", separator="\n\n", ignore_nulls=True)
    )


def _describe_tools(tools: str) -> str:
    """A line for each tool: its name, its parameters' JSON Schema and what it does."""
    lines = []
    for tool in parse_tools(tools) or ():
        function = tool["function"]
        schema = orjson.dumps(function.get("parameters", {})).decode()
        about = function.get("description")
        lines.append(f"{function['name']}({schema}){f': {about}' if about else ''}")
    return "\n".join(lines)


def disarm_responses(prompts: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """response_id, prompt_id, prompt, response: one row per response, the texts disarmed.

    Args:
        prompts: As for `disarm_prompts`.
        responses: response_id, prompt_id, text.
    """
    return responses.select("response_id", "prompt_id", response=disarm(pl.col("text"))).join(
        disarm_prompts(prompts), on="prompt_id", how="left", maintain_order="left"
    )
