"""Conversations and completions as token ids, by a model's own chat template and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson
import polars as pl

from prefdata.engines.base import Operation, results
from prefdata.engines.config import LocalConfig
from prefdata.engines.encoding import Encoder
from prefdata.engines.model_files import find_remedy, name_source
from prefdata.errors import ModelError
from prefdata.messages.chat_form import parse_tools, to_chat
from prefdata.messages.layout import Refused
from prefdata.messages.marks import Marks


def load_tokenizer(name: str, config: LocalConfig, chat: bool = True) -> Any:
    """The model's tokenizer.

    Raises:
        ModelError: There is none, or for a `chat` it has no template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(config.model, **name_source(config))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"models.{name}: {config.model} has no tokenizer that can be loaded: {error}",
            find_remedy(
                name,
                error,
                "Check `model` and `revision`; a folder must hold the tokenizer too.",
            ),
        ) from error
    if chat and not tokenizer.chat_template:
        raise ModelError(
            f"models.{name}: the tokenizer of {config.model} has no chat template",
            "Use an instruction-tuned model, or put a chat_template.jinja beside it.",
        )
    return tokenizer


class Prompts:
    """Token ids of each row's conversation, up to the start of the assistant's turn.

    Args:
        encoder: The model's tokenizer, whose chat template renders the conversation.
        rows: Rows with `messages`, and `tools` where some have any.
        arguments: What the template gets besides, such as enable_thinking.

    `errors` maps a row to the reason why its conversation could not be rendered: some templates
    reject certain roles or turns, or leave out the tools. The ids of such a row are empty.
    """

    def __init__(
        self, encoder: Encoder, rows: pl.DataFrame, arguments: Mapping[str, Any] | None = None
    ) -> None:
        from jinja2 import TemplateError

        self.ids: list[list[int]] = []
        self.errors: dict[int, str] = {}
        # Each distinct prompt is rendered and encoded once, whatever its number of samples.
        rendered: dict[bytes, list[int] | str] = {}
        tools = rows["tools"] if "tools" in rows.columns else [None] * rows.height
        for row, (messages, offered) in enumerate(
            zip(rows["messages"].to_list(), tools, strict=True)
        ):
            name = orjson.dumps([messages, offered])
            if name not in rendered:
                render = partial(
                    encoder.tokenizer.apply_chat_template,
                    encoder.shield(to_chat(messages)),
                    add_generation_prompt=True,
                    tokenize=False,
                    **(arguments or {}),
                )
                try:
                    text = render(tools=encoder.shield(parse_tools(offered)))
                    if offered is not None and text == render(tools=None):
                        rendered[name] = "refused: the chat template shows no tools"
                    else:
                        ids = encoder.encode(text)
                        rendered[name] = ids or "refused: the prompt has no token"
                except TemplateError as error:
                    rendered[name] = f"refused: the chat template says: {error}"
                except Refused as refusal:
                    rendered[name] = f"refused: {refusal}"
            found = rendered[name]
            if isinstance(found, str):
                self.errors[row] = found
                found = []
            self.ids.append(found)


def refuse_empty(prompts: Prompts, responses: Sequence[list[int]]) -> None:
    """Record an error in `prompts` for each response without tokens: it has no hidden states."""
    for row, response in enumerate(responses):
        if not response:
            prompts.errors.setdefault(row, "refused: an empty response has no hidden states")


def decode_responses(
    tokenizer: Any,
    sampled: Sequence[list[int]],
    stop: Sequence[str],
    formats: Sequence[Marks] = (),
) -> list[str]:
    """The texts of sampled tokens, each cut before the first stop text; see `decode_tokens`."""
    whole = decode_tokens(tokenizer, sampled, formats)
    return [_cut_at_stop(text, stop) for text in whole]


def decode_tokens(
    tokenizer: Any, sampled: Sequence[list[int]], formats: Sequence[Marks] = ()
) -> list[str]:
    """The texts of tokens, without special tokens but those of the marks of thoughts."""
    marks = "\n".join(mark for each in formats for mark in each.list_texts())
    special = list_special_tokens(tokenizer) if formats else {}
    left_out = {token for token, text in special.items() if text not in marks}
    if len(left_out) == len(special):
        return list(tokenizer.batch_decode(sampled, skip_special_tokens=True))
    kept = [[token for token in ids if token not in left_out] for ids in sampled]
    return list(tokenizer.batch_decode(kept, skip_special_tokens=False))


def list_special_tokens(tokenizer: Any) -> dict[int, str]:
    """The special tokens by their ids: those with a role, and all others that decoding skips."""
    added = tokenizer.added_tokens_decoder.items()
    named = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
    return {**{token: each.content for token, each in added if each.special}, **dict(named)}


def split_by_length(
    operation: Operation,
    rows: pl.DataFrame,
    prompts: Prompts,
    lengths: Sequence[int],
    model_takes: int,
    limit: int | None = None,
) -> tuple[list[int], list[pl.DataFrame]]:
    """Split off the rows that can't be run.

    Args:
        lengths: The number of tokens of each row.
        model_takes: The longest sequence that the model takes, in tokens.
        limit: The longest row to run; None: `model_takes`.

    Returns:
        (rows that can be run, result frames of those that have an error in `prompts` or are too
        long).
    """
    errors = dict(prompts.errors)
    for row, length in enumerate(lengths):
        if length > (limit or model_takes):
            errors.setdefault(row, f"too_long: {length} tokens, the model takes {model_takes}")
    fits = [row for row in range(rows.height) if row not in errors]
    keys = rows["key"].gather(list(errors))
    failed = results(operation, keys, error=list(errors.values()))
    return fits, [failed] if errors else []


def _cut_at_stop(text: str, stop: Sequence[str]) -> str:
    ends = [text.find(s) for s in stop if s in text]
    return text[: min(ends)] if ends else text
