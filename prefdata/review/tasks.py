"""A task: a comparison as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefdata.messages.chat_form import parse_tools
from prefdata.review.ids import TaskId
from prefdata.text.controls import escape_controls

ROLES = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}


@dataclass(frozen=True)
class Task:
    """A comparison with the texts that are shown, controls and marks of direction escaped.

    `prompt` is a list of (role, text). `judges` has P(the first is better) by
    judge, and nothing unless it was asked for.
    """

    id: TaskId
    prompt: Sequence[tuple[str, str]]
    first: str
    second: str
    stratum: str
    probability: float
    judges: Mapping[str, float] = field(default_factory=dict)

    def describe_judges(self) -> str:
        """A line for each judge."""
        said = (f"{judge}: {preference:.2f}" for judge, preference in self.judges.items())
        return escape_controls("\n".join(said)) or "no judge has said anything"


def build_tasks(
    rows: Sequence[Mapping[str, Any]],
    prompts: Mapping[str, Mapping[str, Any]],
    responses: Mapping[str, Mapping[str, Any]],
    judges: Mapping[tuple[str, str, str], Mapping[str, float]] | None = None,
) -> Iterator[Task]:
    """The tasks of a sample.

    Args:
        rows: The rows of `draw_sample`.
        prompts: messages and tools, by prompt_id.
        responses: text, thoughts and tool_calls, by response_id.
        judges: P(a ≻ b) by comparison and judge, where these are shown.
    """
    for row in rows:
        task = TaskId(row["prompt_id"], row["response_a"], row["response_b"], row["is_repeat"])
        prompt = prompts[task.prompt_id]
        a, b = (describe(responses[each]) for each in (task.response_a, task.response_b))
        said = (judges or {}).get(task.comparison, {})
        yield Task(
            task,
            [*_describe_tools(prompt["tools"]), *map(_describe_turn, prompt["messages"])],
            *((a, b) if task.a_is_first else (b, a)),
            row["stratum"],
            row["probability"],
            {judge: p if task.a_is_first else 1 - p for judge, p in said.items()},
        )


def describe(message: Mapping[str, Any]) -> str:
    """A response or a turn as a person reads it: its thoughts under a heading, its text, its calls
    a line each."""
    text = message["text"] if "text" in message else message["content"]
    calls = [f"Call {call['name']}({call['arguments']})" for call in message["tool_calls"] or ()]
    parts = [text, "\n".join(calls)] if calls else [text]
    if message["thoughts"] is not None:
        parts = [f"[Thoughts]\n{message['thoughts']}", "[Response]\n" + "\n\n".join(parts)]
        return escape_controls("\n\n".join(parts))
    return escape_controls("\n\n".join(part for part in parts if part))


def _describe_turn(message: Mapping[str, Any]) -> tuple[str, str]:
    name = f"[{message['name']}]\n" if message["name"] else ""
    return message["role"], escape_controls(name) + describe(message)


def _describe_tools(tools: str | None) -> Iterator[tuple[str, str]]:
    """A turn of the system that lists the tools."""
    listed = []
    for tool in parse_tools(tools) or ():
        function = tool.get("function", tool)
        said = function.get("description")
        listed.append(f"{function.get('name')}: {said}" if said else str(function.get("name")))
    if listed:
        yield "system", escape_controls("[Tools]\n" + "\n".join(listed))
