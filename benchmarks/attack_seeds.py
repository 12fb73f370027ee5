"""Good inputs of every kind that prefdata reads; the fuzzers make bad ones of them."""

from __future__ import annotations

from typing import Any

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
ASKED: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How far is the moon?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "384,400 km"},
]
GPT = [
    {"from": "system", "value": 'Use them. <tools>[{"name": "f", "parameters": {}}]</tools>'},
    {"from": "human", "value": "How far?"},
    {"from": "gpt", "value": '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>'},
    {"from": "tool", "value": "<tool_response>far</tool_response>"},
]
BLOCKS = [
    {"role": "user", "content": [{"type": "text", "text": "Look."}]},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x"}]}
        ],
    },
]  # fmt: skip

PROMPTS: list[Any] = [
    {"prompt": "Why?", "ground_truth": "18", "source": "here"},
    {"messages": ASKED, "tools": [TOOL]},
    {"messages": GPT},
    {"messages": BLOCKS, "tools": [{"name": "f", "input_schema": {}}], "system": "Be kind."},
    "Why not?",
]

ANNOTATED: dict[str, Any] = {
    "rating": {"prompt": "Why?", "response": "So.", "rating": 4, "annotator": "a", "group": "g"},
    "thumb": {"messages": ASKED, "response": "So.", "thumb": "up", "annotator": 7, "model": "m"},
    "ranking": {
        "prompt": "Why?",
        "responses": ["So.", "Thus.", {"role": "assistant", "content": "No."}],
        "ranking": [1, 2, 3],
        "annotator": "a",
        "model": ["m", "n", None],
    },
}

SIDES = {"chosen": "Because.", "rejected": "No."}
PREFERENCES: list[dict[str, Any]] = [
    {"prompt": "Why?", **SIDES, "margin": 1.5, "source": "web"},
    {
        "prompt": ASKED[:2],
        "chosen": [{"role": "assistant", "content": "Far."}],
        "rejected": [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
        "tools": [TOOL],
        "score_chosen": 4.0,
        "score_rejected": 2,
    },
    {
        "chosen": [*ASKED[:2], {"role": "assistant", "content": "Far."}],
        "rejected": [*ASKED[:2], {"role": "assistant", "content": "Near."}],
    },
    {
        "chosen": "\n\nHuman: Hi\n\nAssistant: Hello!",
        "rejected": "\n\nHuman: Hi\n\nAssistant: Go away.",
    },
    {"instruction": "Add.", "input": "1 2", "system": "Be kind.", "history": [["a", "b"]], **SIDES},
    {
        "input": {"messages": ASKED[:2], "tools": [TOOL]},
        "preferred_output": [{"role": "assistant", "content": "Far."}],
        "non_preferred_output": [{"role": "assistant", "content": "Near."}],
    },
    {"prompt": "Why?", "response_1": "a", "response_2": "b", "preference_strength": 2},
    {"context": ASKED[:2], "response1": "a", "response2": "b", "overall_preference": -3},
    {"instruction": "Why?", "input": "", "output_1": "a", "output_2": "b", "preference": 1},
]  # fmt: skip

_REPLIES = [
    {"message_id": text, "text": text, "role": "assistant", "rank": rank, "replies": []}
    for rank, text in enumerate(("Far.", "Near."))
]
TREE: dict[str, Any] = {
    "message_tree_id": "t",
    "tree_state": "ready_for_export",
    "prompt": {"message_id": "t", "text": "How far?", "role": "prompter", "replies": _REPLIES},
}

_STEP = {"step_id": 2, "source": "agent", "message": "I look.", "model_name": "m"}
_TOOL_CALLS = [{"tool_call_id": "c1", "function_name": "bash", "arguments": {"command": "ls"}}]
_OBSERVED = {"results": [{"source_call_id": "c1", "content": "a.py"}]}


def _say(kind: str, number: int, content: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"u{number}",
        "parentUuid": f"u{number - 1}" if number else None,
        "sessionId": "s",
        "message": {"role": kind, "id": f"m{number}", "content": content},
    }


LOGS: list[list[Any]] = [
    [
        {"task_id": "t", "messages": [*ASKED, {"role": "assistant", "content": text}],
         "tools": [TOOL], "reward": reward}
        for text, reward in (("Far.", 1), ("Near.", 0))
    ],
    [
        {
            "schema_version": "ATIF-v1.6",
            "agent": {"name": "a", "tool_definitions": [TOOL]},
            "steps": [
                {"step_id": 1, "source": "user", "message": "Mend it."},
                {**_STEP, "tool_calls": _TOOL_CALLS, "observation": _OBSERVED},
                {"step_id": 3, "source": "agent", "message": text},
            ],
            "extra": {"task_id": "t", "reward": 0.5},
        }
        for text in ("Done.", "Not done.")
    ],
    [
        _say("user", 0, "Mend it."),
        _say("assistant", 1, [{"type": "tool_use", "id": "c1", "name": "Bash", "input": {}}]),
        _say("user", 2, [{"type": "tool_result", "tool_use_id": "c1", "content": "a.py"}]),
        _say("assistant", 3, [{"type": "text", "text": "Done."}]),
    ],
    [
        {"type": "session_meta", "payload": {"id": "s", "base_instructions": {"text": "Code."}}},
        {"type": "response_item", "payload": {"type": "message", "role": "user",
         "content": [{"type": "input_text", "text": "Mend it."}]}},
        {"type": "response_item", "payload": {"type": "function_call", "name": "shell",
         "arguments": "{}", "call_id": "c1"}},
        {"type": "response_item", "payload": {"type": "function_call_output", "call_id": "c1",
         "output": "a.py"}},
        {"type": "response_item", "payload": {"type": "message", "role": "assistant",
         "content": [{"type": "output_text", "text": "Done."}]}},
    ],
]  # fmt: skip

GROUND_TRUTHS: dict[str, Any] = {
    "exact_match": "18",
    "math_answer": "#### 18 apples",
    "regex_match": "^[0-9]+$",
    "json_schema": {"type": "object", "properties": {"a": {"type": "string", "pattern": "a+"}}},
    "constraints": {"min_chars": 1, "max_words": 9, "starts_with": "a", "keywords": ["x"]},
    "tool_calls": [{"name": "f", "arguments": {"x": 1}}],
}
RESPONSES = ["The answer is 18.", '{"a": "aa"}', "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", ""]

_LOGPROB = {"token": "A", "logprob": -0.5, "top_logprobs": [
    {"token": "A", "logprob": -0.5}, {"token": "B", "logprob": -1.5}]}  # fmt: skip
_USAGE = {"prompt_tokens": 3, "completion_tokens": 1,
          "completion_tokens_details": {"reasoning_tokens": 1}}  # fmt: skip
REPLIES: dict[str, Any] = {
    "generate": {
        "choices": [
            {
                "message": {"role": "assistant", "content": "A", "reasoning": "I think.",
                            "tool_calls": [CALL]},
                "finish_reason": "stop",
                "logprobs": {"content": [_LOGPROB]},
            }
        ],
        "usage": _USAGE,
    },
    "choose": {"choices": [{"logprobs": {"content": [_LOGPROB]}}], "usage": _USAGE},
    "embed": {"data": [{"index": 0, "embedding": [3.0, 4]}], "usage": _USAGE},
}  # fmt: skip

PARAMS: dict[str, Any] = {
    "data": "data",
    "memo": "data/memo",
    "models": {
        "policy": {"engine": "scripted", "model": "policy", "options": {"response_chars": 100}},
        "server": {
            "engine": "openai",
            "model": "m",
            "options": {"base_urls": ["http://localhost:8000/v1"], "timeout_seconds": {"read": 7}},
        },
    },
    "ingest": {"sources": [{"path": "prompts.jsonl", "annotations": {"kind": "rating"}}]},
    "generate": {"n": 4, "temperature": 0.7, "stop": ["\n"], "max_tokens": 64},
    "judge": {"judges": [{"kind": "pairwise", "model": "policy"}, {"kind": "math_answer"}]},
    "consensus": {"kind": "mean"},
    "pair": {"strategy": {"kind": "best_worst"}},
    "filter": {"filters": [{"kind": "near_identical"}, {"kind": "length_bias"}]},
    "export": {"name": "name"},
}
