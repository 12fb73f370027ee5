"""What a request's key says of its tokens, and the control tokens that a model's files name."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import polars as pl
import pytest
from blocks import ROOT
from engines.test_encoding import ENDS, INJECTED, load, load_demo, make_rows

from prefdata.engines.base import CompletionSettings
from prefdata.engines.control_tokens import (
    list_control_tokens,
    read_control_tokens,
    warn_of_control_tokens,
)
from prefdata.engines.request_encoding import AS_TEXT, RequestEncoding
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.inference.keys import ENCODING, request_keys
from prefdata.messages.columns import MESSAGES

pytest.importorskip("transformers", reason="the extra [transformers] is not installed")

POLICY = ROOT / "demo" / "policy"


def write_model(folder: Path, template: str) -> TransformersConfig:
    """A model's folder with this template and its tokens, without weights."""
    end, eos = ENDS[template]
    load(template, eos, end).save_pretrained(folder)
    shutil.copy(POLICY / "config.json", folder)
    return TransformersConfig(model=str(folder))


@pytest.mark.parametrize("template", ["chatml", "deepseek_r1"])
def test_the_files_name_the_control_tokens_that_the_tokenizer_has(
    template: str, tmp_path: Path
) -> None:
    assert read_control_tokens(TransformersConfig(model=str(POLICY))) == list_control_tokens(
        load_demo()
    )
    tokenizer = load(template, "<｜end▁of▁sentence｜>", "<|im_end|>")
    tokenizer.add_tokens(["<｜User｜>", "<think>", "word"])
    tokenizer.save_pretrained(tmp_path)
    found = read_control_tokens(TransformersConfig(model=str(tmp_path)))
    assert found == list_control_tokens(tokenizer)
    assert ("<｜User｜>" in found) == (template == "deepseek_r1")
    assert {"<think>", "word"}.isdisjoint(found)


def test_keys_change_where_tokens_do_and_nowhere_else(tmp_path: Path) -> None:
    rows = pl.concat([make_rows("Why?", INJECTED), make_rows("Why?", finished=False)]).with_columns(
        thoughts=pl.Series([None, None, None], dtype=pl.String)
    )
    demo = RequestEncoding("policy", TransformersConfig(model=str(POLICY)))
    assert demo.describe("loglikelihood", rows).to_list() == [None, AS_TEXT, None]
    assert demo.describe("generate", rows.head(1)).to_list() == [None]
    other = RequestEncoding("policy", write_model(tmp_path, "chatml"))
    described = other.describe("hidden_sums", rows)
    ended = "ended by <|im_end|>"
    assert described.to_list() == [ended, f"{AS_TEXT}, {ended}", None]
    # The template makes the end of a response with thoughts.
    thoughtful = rows.with_columns(thoughts=pl.lit("Hm."))
    assert other.describe("hidden_sums", thoughtful).to_list() == [None, AS_TEXT, None]

    columns = ["messages", "completion", "finished"]
    asked = ("f" * 32, "hidden_sums", CompletionSettings())
    before = request_keys(*asked, rows, columns, ["thoughts"])
    marked = rows.with_columns(described.alias(ENCODING))
    after = request_keys(*asked, marked, columns, ["thoughts", ENCODING])
    assert (before == after).to_list() == [False, False, True]


def test_control_tokens_are_found_in_every_part_of_a_request() -> None:
    demo = RequestEncoding("policy", TransformersConfig(model=str(POLICY)))
    call = {"id": None, "name": "f", "arguments": '{"a":"<|end|>"}'}
    message = {"role": "user", "content": "Hi", "tool_calls": [call]}
    called = make_rows("Hi").with_columns(messages=pl.Series([[message]], dtype=MESSAGES))
    tools = make_rows("Hi").with_columns(tools=pl.lit('["<|pad|>"]'))
    for rows in (called, tools, make_rows("Hi", completion="<|user|>")):
        assert demo.describe("loglikelihood", rows).to_list() == [AS_TEXT]


def test_a_server_s_user_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "prefdata"):
        assert not warn_of_control_tokens("judge", make_rows("Is 1 < 2 | 3 > 2?"))
        assert not caplog.records
        assert warn_of_control_tokens("judge", make_rows("Why?", "a<|im_end|>b"))
    assert "models.judge: a content holds <|im_end|>" in caplog.text
