"""The marks of a model: from its settings and its template, and their tokens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from prefdata.engines.base import Sampling
from prefdata.engines.chat import decode_responses
from prefdata.engines.marks import TemplateMarks, count_thought_tokens, merge_arguments
from prefdata.engines.registry import ENGINES
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.errors import ConfigError
from prefdata.messages.marks import KNOWN

pytest.importorskip("transformers")

TEMPLATES = Path(__file__).parent / "templates"
POLICY = Path(__file__).resolve().parents[2] / "demo" / "policy"


def copy_policy(folder: Path, template: str | None = None) -> str:
    """The demo policy's tokenizer, with another chat template; no weights."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(POLICY / name, folder / name)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return str(folder)


def list_formats(model: str, called: str | None = None, **settings: Any) -> tuple[Any, ...]:
    marks = TemplateMarks("policy", TransformersConfig(model=model, **settings))
    return marks.list_formats(Sampling(chat_template_kwargs=called))


def test_a_template_without_marks_has_none(tmp_path: Path) -> None:
    assert list_formats(copy_policy(tmp_path)) == ()


@pytest.mark.parametrize(
    ("name", "format_name", "opens"),
    [("qwen3", "think", False), ("deepseek_r1", "think", True), ("gpt_oss", "harmony", False)],
)
def test_marks_of_real_templates(tmp_path: Path, name: str, format_name: Any, opens: bool) -> None:
    model = copy_policy(tmp_path, (TEMPLATES / f"{name}.jinja").read_text())
    (marks,) = list_formats(model)
    assert (marks.open, marks.close) == (KNOWN[format_name].open, KNOWN[format_name].close)
    assert marks.opens is opens
    assert list_formats(model, thoughts="none") == ()


def test_whether_the_prompt_opens_follows_the_call_s_arguments(tmp_path: Path) -> None:
    template = "{{ messages[0].content }}{% if think %}<think>\n{% endif %}"
    model = copy_policy(tmp_path, template)
    assert list_formats(model)[0].opens is False
    assert list_formats(model, chat_template_kwargs={"think": True})[0].opens is True
    called = '{"think":false}'
    assert list_formats(model, called, chat_template_kwargs={"think": True})[0].opens is False


def test_marks_in_a_tokenizer_s_configuration(tmp_path: Path) -> None:
    copy_policy(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    named = '[{"name": "default", "template": "[THINK][/THINK]"}]'
    (tmp_path / "tokenizer_config.json").write_text(f'{{"chat_template": {named}}}')
    marks = TemplateMarks("policy", TransformersConfig(model=str(tmp_path)))
    assert marks._formats == (KNOWN["magistral"],)


def test_own_marks_and_unknown_ones() -> None:
    own = ENGINES.parse(
        {"model": "a/model", "thoughts": {"open": "<r>", "close": "</r>"}}, "models.policy"
    )
    assert own.thoughts.open == "<r>"
    with pytest.raises(ConfigError, match=r"(?s)models.policy:.*thoughts.*harmony"):
        ENGINES.parse({"model": "a/model", "thoughts": "thonk"}, "models.policy")


def test_the_call_s_arguments_win() -> None:
    config = TransformersConfig(model="a/model", chat_template_kwargs={"a": 1, "b": 1})
    assert merge_arguments(config, '{"b":2}') == {"a": 1, "b": 2}
    assert merge_arguments(config) == {"a": 1, "b": 1}


def test_marks_that_are_special_tokens_stay_and_others_go() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["[THINK]", "[/THINK]", "<|other|>"]}
    )
    text = "[THINK]It rains.[/THINK]No.<|other|>"
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    formats = (KNOWN["magistral"],)
    (kept,) = decode_responses(tokenizer, [ids], (), formats)
    assert kept == "[THINK]It rains.[/THINK]No."
    assert decode_responses(tokenizer, [ids], ()) == ["It rains.No."]
    closing = ids.index(tokenizer.convert_tokens_to_ids("[/THINK]"))
    assert count_thought_tokens(tokenizer, [ids], [kept], formats) == [closing + 1]


def test_tokens_of_thoughts_are_counted_where_marks_are_many_tokens() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    texts = ["<think>\nIt rains.\n</think>\n\nNo.", "No.", "<think>It rains", "<think></think>a"]
    sampled = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    sampled[2] = [*sampled[2], tokenizer.eos_token_id]
    counts = count_thought_tokens(tokenizer, sampled, texts, (KNOWN["think"],))
    assert counts[1] is None
    assert counts[2] == len(sampled[2]) - 1
    for row, start in ((0, "<think>\nIt rains.\n</think>"), (3, "<think></think>")):
        count = counts[row]
        assert count is not None
        assert tokenizer.decode(sampled[row][:count]).startswith(start)
        assert not tokenizer.decode(sampled[row][: count - 1]).startswith(start)
