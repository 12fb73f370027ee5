"""ATIF: trajectories in the Agent Trajectory Interchange Format (Harbor's RFC 0001), version 1.

A trajectory is one object with `schema_version`, `agent` and `steps`. A step of the agent holds its
message, its reasoning, its calls and, as an observation, their results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefdata.errors import DropRecord
from prefdata.sources.base import NoFault
from prefdata.sources.rows.tools import read_tools
from prefdata.sources.runs.run import LogRow, PlacedTurn, Run, place_messages, settle_turns

_ROLES = {"system": "system", "user": "user", "agent": "assistant"}


def is_atif(row: Mapping[str, Any]) -> bool:
    """Whether the row is a trajectory."""
    return str(row.get("schema_version", "")).startswith("ATIF-") and "steps" in row


def read_atif(rows: Sequence[LogRow]) -> Run:
    """The run of a trajectory.

    A step that no model wrote (`llm_call_count: 0`) ends the run. A trajectory that continues
    another one (`is_copied_context`) is left out: its beginning is not what its model saw.

    Raises:
        DropRecord: The trajectory is faulty.
        NoFault: It continues another one.
    """
    ((number, row),) = rows
    agent, steps = row.get("agent"), row["steps"]
    if not isinstance(agent, dict) or not isinstance(steps, list):
        raise DropRecord("wrong_type", "agent is no object, or steps no list")
    turns: list[PlacedTurn] = []
    for step in steps:
        if not isinstance(step, dict) or step.get("source") not in _ROLES:
            raise DropRecord(
                "unknown_role",
                f"steps: {step!r:.80} is no step; its source is one of {', '.join(_ROLES)}",
            )
        if step.get("is_copied_context"):
            raise NoFault("continued_run", "the trajectory continues another one")
        if step["source"] == "agent" and step.get("llm_call_count") == 0:
            break
        for message in _list_messages(step):
            turns += place_messages(number, message)
    models = [s.get("model_name") for s in steps if s["source"] == "agent"]
    ids = [row.get("trajectory_id"), row.get("session_id")]
    return Run(
        settle_turns(turns),
        read_tools(agent.get("tool_definitions"), "agent.tool_definitions"),
        next((model for model in models if model), agent.get("model_name")),
        [name for name in ids if isinstance(name, str)],
        row,
    )


def _list_messages(step: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The step as messages in OpenAI's form: the agent's, then what it got back."""
    message: dict[str, Any] = {"role": _ROLES[step["source"]], "content": step.get("message", "")}
    if step.get("reasoning_content") is not None:
        message["reasoning_content"] = step["reasoning_content"]
    if step.get("tool_calls"):
        message["tool_calls"] = [
            {
                "id": call.get("tool_call_id"),
                "function": {"name": call.get("function_name"), "arguments": call.get("arguments")},
            }
            for call in step["tool_calls"]
        ]
    yield message
    if step["source"] != "agent":
        return
    for result in (step.get("observation") or {}).get("results") or ():
        content = result.get("content") or ""
        if result.get("source_call_id") is not None:
            yield {"role": "tool", "content": content, "tool_call_id": result["source_call_id"]}
        elif content:
            # The agent acts by its text alone, and is told what came of it.
            yield {"role": "user", "content": content}
