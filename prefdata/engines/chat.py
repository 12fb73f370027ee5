"""Conversations and completions as token ids, by a model's own chat template and tokenizer."""

from __future__ import annotations

from typing import Any

import polars as pl


class Prompts:
    """Token ids of each row's conversation, ready for the assistant's turn.

    `errors` holds, by row, why a conversation could not be rendered: some templates refuse roles
    or turns. Such a row's ids are empty.
    """

    def __init__(self, tokenizer: Any, rows: pl.DataFrame) -> None:
        from jinja2 import TemplateError

        self.ids: list[list[int]] = []
        self.errors: dict[int, str] = {}
        # All samples of a prompt are rendered and encoded once.
        known: dict[tuple[tuple[str, str], ...], list[int] | str] = {}
        for row, messages in enumerate(rows["messages"].to_list()):
            turns = tuple((m["role"], m["content"]) for m in messages)
            if turns not in known:
                try:
                    text = tokenizer.apply_chat_template(
                        messages, add_generation_prompt=True, tokenize=False
                    )
                    known[turns] = encode(tokenizer, text) or "refused: the prompt has no token"
                except TemplateError as error:
                    known[turns] = f"refused: the chat template says: {error}"
            found = known[turns]
            if isinstance(found, str):
                self.errors[row] = found
                found = []
            self.ids.append(found)


def answers(tokenizer: Any, rows: pl.DataFrame) -> list[list[int]]:
    """Token ids of each completion, with the end-of-turn token where it is finished."""
    end = [tokenizer.eos_token_id]
    return [
        encode(tokenizer, text) + (end if finished else [])
        for text, finished in rows.select("completion", "finished").iter_rows()
    ]


def encode(tokenizer: Any, text: str) -> list[int]:
    """The text's ids, without special tokens."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
