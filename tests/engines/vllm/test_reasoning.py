"""vLLM's own reasoning parsers, by its own registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefdata.engines.base import Sampling, results
from prefdata.engines.vllm import reasoning
from prefdata.engines.vllm.config import VllmConfig, VllmOptions
from prefdata.engines.vllm.start import check_arguments
from prefdata.errors import ConfigError

pytestmark = pytest.mark.vllm

POLICY = Path(__file__).resolve().parents[3] / "demo" / "policy"


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> reasoning.ReasoningParser:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    tokenizer.add_tokens(["<think>", "</think>"])
    monkeypatch.setattr(reasoning, "load_tokenizer", lambda name, config: tokenizer)
    options = VllmOptions(reasoning_parser="deepseek_r1")
    return reasoning.ReasoningParser("policy", VllmConfig(model=str(POLICY), options=options))


def test_texts_are_taken_apart(parser: reasoning.ReasoningParser) -> None:
    texts = ["Wet?\n</think>\n\nNo.", "<think>Wet?", "Wet?", "Wet?</think>a</think>b", None]
    reasons = ["stop", "length", "stop", "stop", None]
    keys = [bytes([n]) for n in range(5)]
    rows = parser.split(results("generate", keys, text=texts, finish_reason=reasons), Sampling())
    assert rows["state"].to_list() == ["closed", "cut_off", "unclosed", "reopened", None]
    assert rows["thoughts"].to_list() == ["Wet?"] * 4 + [None]
    assert rows["text"].to_list() == ["No.", "", "", "a</think>b", None]
    assert rows["raw_text"].to_list() == texts


def test_an_unknown_parser_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no parser 'deep'; known: .*deepseek_r1"):
        check_arguments("policy", VllmOptions(reasoning_parser="deep"))
