"""Whatever calls and tools a row has: they come back as they were, or the row is dropped."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from sources.rows.test_tool_forms import read

from prefdata.errors import DropRecord
from prefdata.messages.chat_form import to_chat
from prefdata.sources.rows.messages import read_conversation

names = st.text("abc_", min_size=1, max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Conversations in OpenAI's form, arguments as text."""
    messages: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(texts)})
        arguments = draw(st.lists(st.dictionaries(names, json_values, max_size=2), max_size=2))
        calls = [
            {
                "id": f"{number}-{place}",
                "type": "function",
                "function": {
                    "name": draw(names),
                    "arguments": orjson.dumps(given, option=orjson.OPT_SORT_KEYS).decode(),
                },
            }
            for place, given in enumerate(arguments)
        ]
        message: dict[str, Any] = {"role": "assistant", "content": draw(texts)}
        thoughts = draw(st.none() | texts)
        if thoughts is not None:
            message |= {"reasoning_content": thoughts, "thinking": thoughts}
        if calls:
            message["tool_calls"] = calls
        messages.append(message)
        messages += [
            {"role": "tool", "content": draw(texts), "tool_call_id": call["id"]} for call in calls
        ]
    return messages


@given(conversations())
def test_openais_form_comes_back_as_it_was(messages: list[dict[str, Any]]) -> None:
    turns = read_conversation(messages, "messages").turns
    assert to_chat([turn._asdict() for turn in turns], arguments="text") == messages


@given(json_values, json_values)
def test_any_tools_and_messages_are_read_or_dropped(tools: Any, content: Any) -> None:
    messages = [{"role": "user", "content": content}, {"role": "tool", "content": content}]
    try:
        read({"messages": messages, "tools": tools})
    except DropRecord as found:
        assert found.reason
        assert found.problem
