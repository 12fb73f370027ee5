"""Thoughts, tools and template arguments: what a server is sent of them, and what it counts."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from engines.openai.asking import engine, generate, keyed, prompts, started, together
from engines.openai.loopback import logprob, serving
from inference.counting import requests

from prefdata.engines.base import (
    LoglikelihoodSettings,
)
from prefdata.engines.openai.engine import OpenAIEngine
from prefdata.messages.columns import MESSAGES

VLLM = {"server": "vllm"}
TOOLS = '[{"function":{"name":"f","parameters":{"type":"object"}},"type":"function"}]'


def completions(*rows: tuple[str, str, bool]) -> pl.DataFrame:
    frame = requests([prompt for prompt, _, _ in rows]).with_columns(
        completion=pl.Series([text for _, text, _ in rows]),
        finished=pl.Series([finished for _, _, finished in rows]),
    )
    return keyed("loglikelihood", LoglikelihoodSettings(), frame)


@pytest.mark.parametrize(
    ("part", "counted", "read"),
    [
        ("all", "{why?}No.\x01\n", 18),
        ("thoughts", "{why?}", 13),
        ("response", "No.\x01\n", 18),
    ],
)
def test_thoughts_are_counted_by_the_server_s_template(part: Any, counted: str, read: int) -> None:
    row = completions(("x", "No.", True)).with_columns(thoughts=pl.lit("why?"))
    settings = LoglikelihoodSettings(per_token=True, part=part)
    with serving() as (server,), started(server, **VLLM) as made:
        results = together(row, made.loglikelihood(row, settings))
        assert results["error"].to_list() == [None]
        assert results["token_logprobs"].to_list() == [[logprob(c) for c in counted]]
        assert results["n_prompt_tokens"].to_list() == [read]


def test_a_server_s_template_that_drops_thoughts_is_refused() -> None:
    rows = completions(("x", "No.", True), ("x", "No.", True)).with_columns(
        thoughts=pl.Series([None, "why?"])
    )
    settings = LoglikelihoodSettings()
    body = {"chat_template_kwargs": {"drop_thoughts": True}}
    with serving() as (server,), started(server, **VLLM, extra_body=body) as made:
        results = together(rows, made.loglikelihood(rows, settings))
        assert results["error"][0] is None
        assert results["error"][1].startswith("refused: the chat template drops the thoughts")


def test_template_arguments_are_sent_and_the_call_s_own_win() -> None:
    settings = {"effort": 1, "reasoning_effort": "low", "thinking": True}
    with serving() as (server,):
        plain = engine(server, **VLLM)
        config = plain.config.model_copy(update={"chat_template_kwargs": settings})
        made = OpenAIEngine("policy", config)
        made.start()
        try:
            generate(made, prompts("x"), chat_template_kwargs='{"effort":2}')
        finally:
            made.close()
        (sent,) = server.posts()
        assert sent.body["chat_template_kwargs"] == {"effort": 2, "thinking": True}
        assert sent.body["reasoning_effort"] == "low"


def test_tools_and_calls_are_sent_in_openais_form() -> None:
    turns = [
        {"role": "user", "content": "x"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c", "name": "f", "arguments": '{"n":1}'}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c"},
    ]
    rows = prompts("x", "y").with_columns(
        messages=pl.Series([turns, [turns[0]]], dtype=MESSAGES),
        tools=pl.Series([TOOLS, None], dtype=pl.String),
    )
    with serving() as (server,), started(server) as made:
        assert generate(made, rows)["error"].null_count() == 2
        sent = {len(post.body["messages"]): post.body for post in server.posts()}
    assert sent[3]["tools"][0]["function"]["name"] == "f"
    assert sent[3]["messages"][1]["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"n":1}'}}
    ]
    assert sent[3]["messages"][2] == {"role": "tool", "content": "2", "tool_call_id": "c"}
    assert "tools" not in sent[1]
    assert sent[1]["messages"] == [{"role": "user", "content": "x"}]


def test_a_servers_template_gets_the_tools_of_a_given_response() -> None:
    rows = completions(("x", "yes", True)).with_columns(tools=pl.lit(TOOLS))
    with serving() as (server,), started(server, **VLLM) as made:
        frames = made.loglikelihood(rows, LoglikelihoodSettings())
        assert together(rows, frames)["error"].null_count() == 1
        asked = [post.body for post in server.posts("/tokenize") if "tools" in post.body]
    assert [body["messages"][-1]["content"] for body in asked] == ["x"]
