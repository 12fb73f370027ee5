"""Completions as token ids: a response's text, or the whole message as the chat template has it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from prefdata.engines.base import CompletionSettings, Part, Settings, fill_request
from prefdata.engines.chat import Prompts
from prefdata.engines.encoding import Encoder, EndOfTurn
from prefdata.messages.chat_form import parse_tools, to_chat, to_chat_form
from prefdata.messages.layout import NO_THOUGHTS, Layout, Refused, find_layout


def encode_completions(
    encoder: Encoder,
    rows: pl.DataFrame,
    settings: Settings,
    arguments: Mapping[str, Any] | None = None,
) -> tuple[Prompts, list[list[int]]]:
    """Token ids of each row's context and of the tokens of its completion that count.

    A completion without thoughts and calls is its text, and the chat template's end of turn if it
    is finished. Another one is what the chat template makes of the whole message: all that comes
    after the longest common prefix with the rendered prompt, as TRL takes it, and up to the end of
    what the model wrote if it is not finished.

    Args:
        encoder: The model's tokenizer.
        rows: The request columns of loglikelihood or hidden_sums.
        settings: Its `part` says which tokens count; those before them belong to the context.
        arguments: What the template gets besides messages and tools.

    Returns:
        (contexts, whose `errors` also has the rows that the template does not render whole,
        completions).
    """
    prompts = Prompts(encoder, rows, arguments)
    end = encoder.find_end_of_turn(arguments)
    part = settings.part if isinstance(settings, CompletionSettings) else "all"
    completions: list[list[int]] = []
    for row, (text, finished) in enumerate(rows.select("completion", "finished").iter_rows()):
        try:
            completions.append(encoder.encode_content(text) + (end.ids if finished else []))
        except Refused as refusal:
            completions.append([])
            prompts.errors.setdefault(row, f"refused: {refusal}")
    if part == "all" and not {"thoughts", "tool_calls"} & set(rows.columns):
        return prompts, completions
    filled = fill_request("loglikelihood", rows)
    plain = pl.col("thoughts").is_null()
    for row in _find_rows(filled, plain) if part == "thoughts" else ():
        prompts.errors.setdefault(row, f"refused: {NO_THOUGHTS}")
    for row in _find_rows(filled, ~plain | pl.col("tool_calls").is_not_null()):
        if row in prompts.errors:
            continue
        try:
            ids = _encode_message(
                encoder, end, filled.row(row, named=True), prompts.ids[row], part, arguments or {}
            )
        except Refused as refusal:
            prompts.errors[row], ids = f"refused: {refusal}", ([], [])
        prompts.ids[row], completions[row] = ids
    return prompts, completions


def render_conversation(
    encoder: Encoder, row: Mapping[str, Any], arguments: Mapping[str, Any], responded: bool = True
) -> str:
    """The conversation as the chat template has it, with the response or up to its start, and its
    contents shielded.

    Raises:
        Refused: The template does not take this conversation.
    """
    from jinja2 import TemplateError

    messages = to_chat(row["messages"])
    if responded:
        messages.append(to_chat_form({**row, "role": "assistant", "content": row["completion"]}))
    try:
        rendered = encoder.tokenizer.apply_chat_template(
            encoder.shield(messages),
            tools=encoder.shield(parse_tools(row["tools"])),
            add_generation_prompt=not responded,
            tokenize=False,
            **arguments,
        )
    except TemplateError as error:
        raise Refused(f"the chat template says: {error}") from error
    return str(rendered)


def count_common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the longest common prefix."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _find_rows(rows: pl.DataFrame, condition: pl.Expr) -> list[int]:
    return list(rows.select(condition.arg_true()).to_series())


def locate_message(
    encoder: Encoder, end: EndOfTurn, row: Mapping[str, Any], rendered: str, offset: int
) -> Layout:
    """Where the parts of the row's response stand in its rendered conversation. Raises Refused."""
    names = ("thoughts", "completion", "tool_calls")
    thoughts, content, calls = (encoder.shield(row[name]) for name in names)
    message = {"thoughts": thoughts, "content": content, "tool_calls": calls}
    return find_layout(rendered, offset, message, end.text)


def _encode_message(
    encoder: Encoder,
    end: EndOfTurn,
    row: Mapping[str, Any],
    prompt_ids: list[int],
    part: Part,
    arguments: Mapping[str, Any],
) -> tuple[list[int], list[int]]:
    """(context, completion) of a response with thoughts or calls. Raises Refused."""
    prompt = render_conversation(encoder, row, arguments, responded=False)
    text = render_conversation(encoder, row, arguments)
    offset = len(os.path.commonprefix([prompt, text]))
    layout = locate_message(encoder, end, row, text, offset)
    ids = encoder.encode(text if row["finished"] else text[: layout.end])
    start = count_common(prompt_ids, ids)
    border = start
    if part != "all" and row["thoughts"] is not None:
        # A token across the border belongs to the response.
        border = max(start, count_common(ids, encoder.encode(text[: layout.response])))
    return select_part(ids, start, border, part)


def select_part(ids: list[int], start: int, border: int, part: Part) -> tuple[list[int], list[int]]:
    """(context, completion) of a conversation's tokens, of which the completion begins at `start`
    and the response after its thoughts at `border`. Raises Refused if nothing is left."""
    if part == "all":
        return ids[:start], ids[start:]
    if part == "response":
        return ids[:border], ids[border:]
    if border == start:
        raise Refused(NO_THOUGHTS)
    return ids[:start], ids[start:border]
