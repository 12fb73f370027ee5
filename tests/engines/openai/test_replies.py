"""Parsing replies: a good one gives its numbers; any other one is a fault, never a number."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from engines.openai.loopback import chat, completion, embeddings, logprob
from hypothesis import given
from hypothesis import strategies as st

from prefdata.engines.openai import replies
from prefdata.engines.openai.clients.embed import share_out
from prefdata.engines.openai.faults import Fault

BODY = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "logprobs": True}
GOOD = {
    "generation": (chat(BODY), lambda a: replies.parse_generation(a, True, True)),
    "top_logprobs": (
        chat({**BODY, "max_tokens": 1, "top_logprobs": 4}),
        lambda a: replies.parse_top_logprobs(a),
    ),
    "prompt_logprobs": (
        completion({"prompt": [7, 8, 9]}),
        lambda a: replies.parse_prompt_logprobs(a, [7, 8, 9], 1),
    ),
    "embeddings": (embeddings({"input": ["a", "bc"]}), lambda a: replies.parse_embeddings(a, 2)),
    "token_ids": ({"tokens": [1, 2]}, lambda a: replies.parse_token_ids(a)),
}
PLAIN = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False)
JSON = st.recursive(
    PLAIN | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def test_a_good_reply_is_read() -> None:
    found = replies.parse_generation(chat(BODY), True, True)
    assert (found.text, found.n_tokens, found.finish_reason) == (
        "Réponse 答 to x [None]",
        5,
        "stop",
    )
    assert found.n_prompt_tokens == 1
    assert found.tool_calls is None
    assert found.cumulative_logprob == pytest.approx(sum(map(logprob, found.text.split(" "))))
    assert replies.parse_generation(chat(BODY), False, True).cumulative_logprob is None
    assert replies.parse_prompt_logprobs(completion({"prompt": [7, 8, 9]}), [7, 8, 9], 1) == [
        logprob("\x08"),
        logprob("\t"),
    ]


def test_openai_may_leave_out_the_end_of_turn() -> None:
    reply = chat(BODY)
    reply["usage"]["completion_tokens"] += 1
    assert replies.parse_generation(reply, True, exact=False).n_tokens == 6
    with pytest.raises(Fault, match="5 log-probs for 6 tokens"):
        replies.parse_generation(reply, True, exact=True)
    reply["choices"][0]["finish_reason"] = "length"
    with pytest.raises(Fault, match="5 log-probs for 6 tokens"):
        replies.parse_generation(reply, True, exact=False)


def test_a_model_that_ends_its_turn_at_once_gives_an_empty_text() -> None:
    reply = chat(BODY)
    choice = reply["choices"][0]
    choice["message"]["content"] = ""
    choice["logprobs"]["content"] = [{"token": "</s>", "logprob": -0.5}]
    reply["usage"]["completion_tokens"] = 1
    found = replies.parse_generation(reply, True, True)
    assert (found.text, found.finish_reason, found.cumulative_logprob) == ("", "stop", -0.5)


CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"b": 1}'}}


def calling(calls: Any, **choice: Any) -> dict[str, Any]:
    """A reply that is nothing but calls."""
    reply = chat(BODY)
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    reply["choices"][0] |= {"message": message, "finish_reason": "tool_calls", **choice}
    return reply


def test_calls_are_read_as_the_server_gave_them() -> None:
    found = replies.parse_generation(calling([CALL]), True, True)
    assert (found.text, found.finish_reason) == ("", "stop")
    assert found.tool_calls == [{"id": "x", "name": "f", "arguments": '{"b": 1}'}]
    assert found.cumulative_logprob is not None
    without = replies.parse_generation(calling([CALL], logprobs=None), True, True)
    assert without.cumulative_logprob is None


@pytest.mark.parametrize(
    ("calls", "fault"),
    [
        ("f()", "tool_calls are str"),
        (["f"], "no function's name"),
        ([{"function": {"name": None}}], "no function's name"),
        ([{"function": {"name": "f", "arguments": {}}}], "are no text"),
        ([], "finish_reason is 'tool_calls'"),
    ],
)
def test_calls_that_are_none_are_faults(calls: Any, fault: str) -> None:
    with pytest.raises(Fault, match=fault):
        replies.parse_generation(calling(calls), True, True)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_are_read_apart_and_counted(name: str) -> None:
    reply = chat(BODY)
    reply["choices"][0]["message"] |= {name: "\nWhy?\n", "content": "\n\nSo."}
    reply["usage"]["completion_tokens_details"] = {"reasoning_tokens": 3}
    generation = replies.parse_generation(reply, True, True)
    assert (generation.thoughts, generation.text) == ("Why?", "So.")
    assert generation.n_thought_tokens == 3


def test_thoughts_without_a_response_are_no_fault() -> None:
    reply = chat(BODY)
    reply["choices"][0] |= {"finish_reason": "length"}
    reply["choices"][0]["message"] = {"role": "assistant", "content": None, "reasoning": "Why?"}
    generation = replies.parse_generation(reply, True, True)
    assert (generation.thoughts, generation.text, generation.finish_reason) == (
        "Why?",
        "",
        "length",
    )


@pytest.mark.parametrize("count", [-1, "3", None, True, 2.0])
def test_a_count_that_is_none_is_not_known(count: object) -> None:
    reply = chat(BODY)
    reply["usage"]["completion_tokens_details"] = {"reasoning_tokens": count}
    assert replies.parse_generation(reply, True, True).n_thought_tokens is None


def test_of_tokens_that_read_alike_the_likeliest_counts() -> None:
    reply = chat({**BODY, "max_tokens": 1, "top_logprobs": 4})
    entries = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    entries += [{"token": "A", "logprob": -7.0}, {"token": "D", "logprob": -9999.0}]
    found, _ = replies.parse_top_logprobs(reply)
    assert found["A"] == logprob("A")
    assert "D" not in found


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every part of a JSON value."""
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    return [path, *(p for key, item in items for p in paths(item, (*path, key)))]


@pytest.mark.parametrize("name", GOOD)
@given(data=st.data())
def test_whatever_comes_is_read_right_or_is_a_fault(name: str, data: st.DataObject) -> None:
    """Any part of a good reply replaced by anything."""
    good, read = GOOD[name]
    reply = copy.deepcopy(good)
    path = data.draw(st.sampled_from(paths(good)))
    new = data.draw(JSON)
    if path:
        node = reply
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = new
    else:
        reply = new
    try:
        found = read(reply)
    except Fault as fault:
        assert fault.code in ("bad_response", "refused")
        return
    if name == "generation":
        assert isinstance(found.text, str)
        assert found.finish_reason in ("stop", "length")
        assert type(found.n_tokens) is int
        assert type(found.n_prompt_tokens) is int
        total = found.cumulative_logprob
        assert -math.inf < total <= 0 if total is not None else found.tool_calls
    elif name == "embeddings":
        for vector in found[0]:
            assert math.fsum(x * x for x in vector) == pytest.approx(1)
    elif name == "top_logprobs":
        assert all(-9999 < value <= 0 for value in found[0].values())
    elif name == "prompt_logprobs":
        assert all(-9999 < value <= 0 for value in found)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 500), min_size=1, max_size=40))
def test_tokens_are_shared_out_whole(total: int, lengths: list[int]) -> None:
    shares = share_out(total, lengths)
    assert sum(shares) == total
    assert min(shares) >= 0
    assert len(shares) == len(lengths)
    equal = share_out(10 * len(lengths), [7] * len(lengths))
    assert equal == [10] * len(lengths)
