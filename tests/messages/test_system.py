"""A policy's system prompt beside the prompt's own."""

from __future__ import annotations

import polars as pl

from prefdata.messages.columns import MESSAGES
from prefdata.messages.system import add_system


def test_it_comes_before_the_prompt_s_turns_and_its_own_system_turn() -> None:
    call = {"id": "1", "name": "f", "arguments": "{}"}
    turns = [
        [{"role": "user", "content": "Hi"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "", "thoughts": "Hm.", "tool_calls": [call]},
            {"role": "tool", "content": "4", "tool_call_id": "1"},
        ],
    ]
    frame = pl.DataFrame({"messages": turns}, schema={"messages": MESSAGES})
    found = frame.with_columns(messages=add_system(pl.col("messages"), "Be kind."))
    assert found.schema == frame.schema
    plain, own, tools = found["messages"].to_list()
    assert [(m["role"], m["content"]) for m in plain] == [("system", "Be kind."), ("user", "Hi")]
    assert [m["content"] for m in own] == ["Be kind.\n\nBe brief.", "Hi"]
    assert own[0]["role"] == "system"
    assert tools[0]["content"] == "Be kind."
    assert tools[1:] == frame["messages"][2].to_list()
    empty = frame.clear().with_columns(messages=add_system(pl.col("messages"), "Be kind."))
    assert empty.schema == frame.schema
