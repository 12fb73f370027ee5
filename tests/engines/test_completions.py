"""Completions by chat templates of reasoning models, token for token as TRL makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prefdata.engines.base import CompletionSettings, Part
from prefdata.engines.completions import encode_completions
from prefdata.engines.encoding import Encoder
from prefdata.messages.chat_form import to_chat
from prefdata.messages.columns import CALLS, MESSAGES

pytest.importorskip("transformers")

TEMPLATES = Path(__file__).parent / "templates"
POLICY = Path(__file__).resolve().parents[2] / "demo" / "policy"
PROMPT = [{"role": "user", "content": "Does it rain?"}]
EARLIER = [
    {"role": "user", "content": "Is it wet?"},
    {"role": "assistant", "content": "It is.", "thoughts": "The street shines."},
    *PROMPT,
]
CALL = [{"id": "1", "name": "look", "arguments": '{"where":"out"}'}]


@pytest.fixture(params=["qwen3", "deepseek_r1", "gpt_oss"])
def template(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(template: str) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    tokenizer.chat_template = (TEMPLATES / f"{template}.jinja").read_text()
    ends = {"qwen3": "<|im_end|>", "deepseek_r1": "<｜end▁of▁sentence｜>", "gpt_oss": "<|return|>"}
    tokenizer.add_special_tokens({"eos_token": ends[template]})
    tokenizer.add_tokens(["<think>", "</think>"])
    return tokenizer


def make_row(**changes: Any) -> pl.DataFrame:
    row = {
        "messages": PROMPT,
        "completion": "No.",
        "finished": True,
        "tools": None,
        "thoughts": "The sun shines.",
        "tool_calls": None,
        **changes,
    }
    filled = [
        dict.fromkeys(("thoughts", "tool_calls", "tool_call_id", "name")) | message
        for message in row["messages"]
    ]
    kinds = {"messages": MESSAGES, "tools": pl.String, "thoughts": pl.String, "tool_calls": CALLS}
    return pl.DataFrame([row | {"messages": filled}], schema_overrides=kinds)


def encode(tokenizer: Any, row: pl.DataFrame, part: Part = "all") -> tuple[str, str, str | None]:
    """(context, completion) as texts, and the error."""
    prompts, completions = encode_completions(
        Encoder(tokenizer), row, CompletionSettings(part=part)
    )
    texts = [tokenizer.decode(ids) for ids in (prompts.ids[0], completions[0])]
    return texts[0], texts[1], prompts.errors.get(0)


def tokenize_as_trl(tokenizer: Any, row: pl.DataFrame) -> tuple[list[int], list[int]]:
    """(prompt_ids, chosen_ids) by TRL's own code."""
    trl = pytest.importorskip("trl")
    assert trl
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    message = {**row.row(0, named=True), "role": "assistant"} | {"content": row["completion"][0]}
    example = {
        "prompt": to_chat(row["messages"].to_list()[0]),
        "chosen": to_chat([message]),
        "rejected": to_chat([message]),
    }
    trainer = object.__new__(DPOTrainer)
    trainer._tokenizer = tokenizer
    arguments = DPOConfig(
        output_dir="unused", report_to=[], max_length=None, use_cpu=True, bf16=False
    )
    prepared = trainer._prepare_dataset(Dataset.from_list([example]), tokenizer, arguments, "rows")
    return prepared[0]["prompt_ids"], prepared[0]["chosen_ids"]


@pytest.mark.parametrize("messages", [PROMPT, EARLIER], ids=["one turn", "thoughts before"])
@pytest.mark.parametrize("thoughts", ["The sun shines.", ""], ids=["thoughts", "empty"])
def test_whole_completions_equal_trl_s(template: str, messages: Any, thoughts: str) -> None:
    tokenizer = load(template)
    row = make_row(messages=messages, thoughts=thoughts)
    prompts, completions = encode_completions(Encoder(tokenizer), row, CompletionSettings())
    if template == "deepseek_r1" and thoughts:
        assert prompts.errors[0].startswith("refused: the chat template drops the thoughts")
        assert "without_thoughts" in prompts.errors[0]
        return
    assert not prompts.errors
    assert (prompts.ids[0], completions[0]) == tokenize_as_trl(tokenizer, row)


def test_qwen_3_keeps_thoughts_after_the_last_user_turn() -> None:
    tokenizer = load("qwen3")
    context, whole, error = encode(tokenizer, make_row(messages=EARLIER))
    assert error is None
    assert "The street shines." not in context
    assert whole == "<think>\nThe sun shines.\n</think>\n\nNo.<|im_end|>\n"
    context, thoughts, _ = encode(tokenizer, make_row(), "thoughts")
    assert thoughts == "<think>\nThe sun shines.\n</think>\n\n"
    assert context.endswith("<|im_start|>assistant\n")
    inside, response, _ = encode(tokenizer, make_row(), "response")
    assert inside == context + thoughts
    assert response == "No.<|im_end|>\n"


def test_gpt_oss_has_its_thoughts_in_a_channel() -> None:
    tokenizer = load("gpt_oss")
    _, thoughts, error = encode(tokenizer, make_row(), "thoughts")
    assert error is None
    assert thoughts == (
        "<|channel|>analysis<|message|>The sun shines.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>"
    )
    _, response, _ = encode(tokenizer, make_row(), "response")
    assert response == "No.<|return|>"


@pytest.mark.parametrize("template", ["qwen3", "gpt_oss"], indirect=False)
def test_an_unfinished_response_has_no_end(template: str) -> None:
    tokenizer = load(template)
    _, response, error = encode(tokenizer, make_row(finished=False), "response")
    assert error is None
    assert response == "No."


def test_calls_are_a_part_of_the_response() -> None:
    row = make_row(completion="", tool_calls=CALL)
    _, response, error = encode(load("qwen3"), row, "response")
    assert error is None
    assert response.startswith('<tool_call>\n{"name": "look", "arguments": {"where": "out"}}')
    assert response.endswith("<|im_end|>\n")
    _, response, error = encode(load("gpt_oss"), row, "response")
    assert error is None
    assert (
        response
        == ' to=functions.look<|channel|>commentary json<|message|>{"where": "out"}<|call|>'
    )


def test_deepseek_r1_drops_calls_beside_a_text() -> None:
    row = make_row(thoughts=None, tool_calls=CALL)
    _, _, error = encode(load("deepseek_r1"), row)
    assert error is not None
    assert error.startswith("refused: the chat template drops the tool calls")


@pytest.mark.parametrize("part", ["all", "response"])
def test_without_thoughts_a_completion_is_its_text_and_the_end(template: str, part: Part) -> None:
    tokenizer = load(template)
    prompts, completions = encode_completions(
        Encoder(tokenizer), make_row(thoughts=None), CompletionSettings(part=part)
    )
    assert not prompts.errors
    ids = tokenizer("No.", add_special_tokens=False)["input_ids"]
    assert completions == [[*ids, tokenizer.eos_token_id]]


def test_without_thoughts_nothing_is_left_of_them() -> None:
    _, _, error = encode(load("qwen3"), make_row(thoughts=None), "thoughts")
    assert error is not None
    assert error.startswith("refused: the response has no thoughts")


def test_a_template_that_moves_thoughts_is_refused() -> None:
    tokenizer = load("qwen3")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.content }}{{ m.reasoning_content or '' }}{% endfor %}"
    )
    _, _, error = encode(tokenizer, make_row())
    assert error is not None
    assert "drops the thoughts or moves them" in error


def read_templates() -> Iterator[str]:
    for file in sorted(TEMPLATES.glob("*.jinja")):
        yield file.stem


def test_the_sources_of_the_templates_are_named() -> None:
    readme = (TEMPLATES / "README.md").read_text()
    assert all(name in readme for name in read_templates())
