"""The marks of a model's thoughts: from its settings, or its chat template, without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import orjson
import polars as pl

from prefdata.engines.base import Sampling
from prefdata.engines.chat import decode_tokens, list_special_tokens, load_tokenizer
from prefdata.engines.config import LocalConfig, ModelConfig, OwnMarks
from prefdata.engines.model_files import read_template
from prefdata.messages.marks import KNOWN, Marks, find_marks
from prefdata.messages.thoughts import cut_texts

AT_START = tuple(replace(marks, opens=False) for marks in KNOWN.values())
"""Every known format, for texts of which only the start can tell."""


def read_marks(config: ModelConfig) -> tuple[Marks, ...] | None:
    """The formats that the setting `thoughts` names; None: auto."""
    if config.thoughts == "auto":
        return None
    if config.thoughts == "none":
        return ()
    if isinstance(config.thoughts, OwnMarks):
        return (Marks(config.thoughts.open, (config.thoughts.close,)),)
    return (KNOWN[config.thoughts],)


def merge_arguments(config: ModelConfig, chat_template_kwargs: str | None = None) -> dict[str, Any]:
    """What the chat template gets in a call: the model's setting, and over it the call's own."""
    called = orjson.loads(chat_template_kwargs) if chat_template_kwargs else {}
    return {**config.chat_template_kwargs, **called}


class TemplateMarks:
    """The marks of a model that runs in this process.

    Args:
        name: The model's name in params.yaml.
        config: Its settings.
    """

    def __init__(self, name: str, config: LocalConfig) -> None:
        self._name, self._config = name, config
        self._prompts: dict[str | None, str | None] = {}

    def list_formats(self, settings: Sampling) -> tuple[Marks, ...]:
        """The format of the model's texts in calls with these settings; empty if it has none."""
        if not self._formats:
            return ()
        arguments = settings.chat_template_kwargs
        if arguments not in self._prompts:
            self._prompts[arguments] = self._render_prompt(arguments)
        prompt = self._prompts[arguments]
        return tuple(m if prompt is None else m.with_prompt(prompt) for m in self._formats)

    @cached_property
    def _formats(self) -> tuple[Marks, ...]:
        named = read_marks(self._config)
        if named is None:
            found = find_marks(read_template(self._config))
            named = () if found is None else (found,)
        return named

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._name, self._config)

    def _render_prompt(self, chat_template_kwargs: str | None) -> str | None:
        """A short prompt; None if the template can't render it."""
        from jinja2 import TemplateError

        try:
            prompt = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": "Hello"}],
                add_generation_prompt=True,
                tokenize=False,
                **merge_arguments(self._config, chat_template_kwargs),
            )
        except TemplateError:
            return None
        return str(prompt)


def count_thought_tokens(
    tokenizer: Any, sampled: Sequence[list[int]], texts: Sequence[str], formats: Sequence[Marks]
) -> list[int | None]:
    """The number of tokens of each text's thoughts and their marks; None without thoughts.

    Args:
        tokenizer: The model's tokenizer.
        sampled: The token ids of each text.
        texts: The texts that they decode to.
        formats: The formats that the texts may have.
    """
    counts: list[int | None] = [None] * len(texts)
    if not formats:
        return counts
    rows = pl.DataFrame({"row": range(len(texts)), "text": pl.Series(texts, dtype=pl.String)})
    thoughtful = cut_texts(rows, formats).filter(pl.col("thoughts").is_not_null())
    special = list_special_tokens(tokenizer) if thoughtful.height else {}
    closing = pl.concat_str("lead", "thoughts", pl.col("seam").str.strip_chars_end())
    for row, end in thoughtful.select("row", closing.str.len_chars()).iter_rows():
        ids = sampled[row]
        if end is None:
            ended = bool(ids) and ids[-1] in special
            counts[row] = len(ids) - ended
            continue
        # The shortest start whose text reaches the end of the closing mark.
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            reached = len(decode_tokens(tokenizer, [ids[:middle]], formats)[0])
            low, high = (middle + 1, high) if reached < end else (low, middle)
        counts[row] = low
    return counts
