"""vLLM's own reasoning parsers: thoughts and response, by the rules that its server has."""

from __future__ import annotations

from typing import Any

import polars as pl

from prefdata.engines.base import Sampling
from prefdata.engines.chat import load_tokenizer
from prefdata.engines.marks import merge_arguments
from prefdata.engines.vllm.config import VllmConfig
from prefdata.messages.marks import Marks
from prefdata.messages.thoughts import split_thoughts


class ReasoningParser:
    """The parser that `options.reasoning_parser` names. It needs the tokenizer, and no weights.

    Args:
        name: The model's name in params.yaml.
        config: Its settings.
    """

    def __init__(self, name: str, config: VllmConfig) -> None:
        self._config = config
        self._tokenizer = load_tokenizer(name, config)
        self._parsers: dict[str | None, Any] = {}

    def list_formats(self, settings: Sampling) -> tuple[Marks, ...]:
        """The marks that the parser looks for, if it names them."""
        parser = self._find_parser(settings)
        start, end = parser.reasoning_start_str, parser.reasoning_end_str
        return (Marks(start, (end,)),) if start and end else ()

    def split(self, results: pl.DataFrame, settings: Sampling) -> pl.DataFrame:
        """The results taken apart, with the columns of `split_thoughts`."""
        parser = self._find_parser(settings)
        request = _make_request(self._config.model)
        cut = [
            (None, None) if text is None else parser.extract_reasoning(text, request)
            for text in results["text"]
        ]
        parts = pl.DataFrame(
            {
                "cut_thoughts": [thoughts for thoughts, _ in cut],
                "cut_text": [text or "" for _, text in cut],
            },
            schema={"cut_thoughts": pl.String, "cut_text": pl.String},
        )
        is_cut = pl.col("cut_thoughts").is_not_null() & pl.col("thoughts").is_null()
        apart = (
            results.hstack(parts)
            .with_columns(
                raw_text=pl.when(is_cut).then("text"),
                text=pl.when(is_cut)
                .then(pl.col("cut_text").str.strip_chars_start())
                .otherwise("text"),
                thoughts=pl.when(is_cut)
                .then(pl.col("cut_thoughts").str.strip_chars())
                .otherwise("thoughts"),
            )
            .drop("cut_thoughts", "cut_text")
        )
        named = split_thoughts(apart.drop("raw_text"), ())
        marks = [mark for each in self.list_formats(settings) for mark in (each.open, *each.close)]
        again = pl.col("state").is_in(["closed", "empty"]) & pl.col("text").str.contains_any(marks)
        return named.with_columns(
            apart["raw_text"],
            state=pl.when(again).then(pl.lit("reopened")).otherwise("state"),
        )

    def _find_parser(self, settings: Sampling) -> Any:
        from vllm.reasoning import ReasoningParserManager

        arguments = settings.chat_template_kwargs
        if arguments not in self._parsers:
            kind = ReasoningParserManager.get_reasoning_parser(
                self._config.options.reasoning_parser
            )
            self._parsers[arguments] = kind(
                self._tokenizer, chat_template_kwargs=merge_arguments(self._config, arguments)
            )
        return self._parsers[arguments]


def _make_request(model: str) -> Any:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    return ChatCompletionRequest(messages=[], model=model)
