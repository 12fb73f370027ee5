"""A flow with tools: calls are generated, dropped where they can't be read, and judged."""

from __future__ import annotations

from pathlib import Path

import flows
import orjson
import polars as pl

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
CALL = '{"name": "weather", "arguments": {"city": "Paris"}}'
ROWS = [
    {"prompt": "Warm in Paris?", "tools": TOOLS, "ground_truth": CALL},
    {"prompt": "Broken call?", "tools": TOOLS},
    {"prompt": "Plain marks?"},
    {"prompt": "Bad tools?", "tools": "hammer"},
]
RESPONSES = {
    "Warm in Paris?": f"Let me look.\n<tool_call>\n{CALL}\n</tool_call>",
    "Broken call?": "<tool_call>{city</tool_call>",
    "Plain marks?": "<tool_call>{city</tool_call>",
}


def test_calls_are_read_dropped_and_judged(tmp_path: Path) -> None:
    policy = {"engine": "scripted", "model": "p", "options": {"responses": RESPONSES}}
    params = flows.params(
        tmp_path,
        models={"policy": policy, "reference": policy},
        generate={"n": 1},
        judge={"judges": [{"kind": "tool_calls"}]},
        buckets=1,
        ches=None,
    )
    lines = b"\n".join(orjson.dumps(row) for row in ROWS)
    (tmp_path / "prompts.jsonl").write_bytes(lines)
    flows.run(params, "ingest", "generate")

    (bad,) = flows.read(tmp_path, "dropped/ingest").to_dicts()
    assert bad["reason"] == "tools_unreadable"
    assert bad["fault"]

    prompts = flows.read(tmp_path, "prompts")
    question = pl.col("messages").list.first().struct.field("content").alias("question")
    responses = flows.read(tmp_path, "responses").join(
        prompts.select("prompt_id", question), on="prompt_id"
    )
    found = {row["question"]: row for row in responses.to_dicts()}
    assert set(found) == {"Warm in Paris?", "Plain marks?"}
    warm = found["Warm in Paris?"]
    assert warm["text"] == "Let me look."
    assert warm["raw_text"] == RESPONSES["Warm in Paris?"]
    call = {"id": None, "name": "weather", "arguments": '{"city":"Paris"}'}
    assert warm["tool_calls"] == [call]
    plain = found["Plain marks?"]
    assert (plain["text"], plain["tool_calls"]) == (RESPONSES["Plain marks?"], None)

    (dropped,) = flows.read(tmp_path, "dropped/generate").to_dicts()
    assert dropped["reason"] == "tool_call_unreadable"
    assert dropped["detail"].startswith("it is no JSON")
    assert not dropped["fault"]
