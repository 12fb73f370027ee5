"""A run: what one agent did at one task, as its log has it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from prefdata.errors import DropRecord
from prefdata.sources.rows.conversations import Turn, normalize
from prefdata.sources.rows.messages import read_messages


class LogRow(NamedTuple):
    """A row of a log: its number in the file, from 1, and its value."""

    number: int
    value: dict[str, Any]


class PlacedTurn(NamedTuple):
    """A turn, and the number of the row where it begins."""

    number: int
    turn: Turn


class Run(NamedTuple):
    """A run, as its form's reader reads it."""

    turns: list[PlacedTurn]
    """In the order of the conversation, as `settle_turns` makes them."""
    tools: str | None
    """The tools that the agent may call, as in `Prompt`; None: the log doesn't say."""
    model: str | None
    """The model that wrote its turns."""
    ids: Sequence[str]
    """What the log calls the run."""
    fields: Mapping[str, Any]
    """Where the log may say the task and the outcome."""


def place_messages(number: int, message: Mapping[str, Any]) -> list[PlacedTurn]:
    """The turns of one message, in any form of `read_messages`. Raises DropRecord."""
    return [PlacedTurn(number, turn) for turn in read_messages([dict(message)], f"row {number}")]


def settle_turns(turns: Sequence[PlacedTurn]) -> list[PlacedTurn]:
    """The turns in the one form in which those of other runs can be compared with them.

    Turns of one role that follow each other become one. Results stand in the order of their calls,
    and the ids of calls are numbered: they are random, and differ from run to run. A system turn
    inside the run changes what the model knows of what came before, so the run ends there.

    Raises:
        DropRecord: A result has no call, or two calls have one id.
    """
    settled: list[PlacedTurn] = []
    open_calls: dict[str, tuple[int, str]] = {}
    results: list[tuple[int, PlacedTurn]] = []
    count = 0

    def flush() -> None:
        settled.extend(turn for _, turn in sorted(results, key=lambda result: result[0]))
        results.clear()

    for number, turn in turns:
        if turn.role == "tool":
            place, call_id = _take_call(open_calls, turn, number)
            result = turn._replace(tool_call_id=call_id, content=normalize(turn.content))
            results.append((place, PlacedTurn(number, result)))
            continue
        if turn.role == "system" and any(placed.turn.role != "system" for placed in settled):
            break
        flush()
        joined = bool(settled) and settled[-1].turn.role == turn.role
        if not joined:
            open_calls.clear()
        calls = []
        for call in turn.tool_calls or ():
            count += 1
            given, new = call["id"] or f"\0{count}", f"call{count:05d}"
            if given in open_calls:
                raise DropRecord("repeated_call_id", f"row {number}: two calls have the id {given}")
            open_calls[given] = (count, new)
            calls.append({**call, "id": new})
        plain = turn._replace(content=normalize(turn.content), tool_calls=calls or None)
        if joined:
            settled[-1] = PlacedTurn(settled[-1].number, _join_turns(settled[-1].turn, plain))
        else:
            settled.append(PlacedTurn(number, plain))
    flush()
    while settled and _is_empty(settled[-1].turn):
        settled.pop()
    return settled


def _is_empty(turn: Turn) -> bool:
    """Whether the agent was stopped before it said or called anything."""
    return turn.role == "assistant" and not turn.content and not turn.tool_calls


def _take_call(calls: dict[str, tuple[int, str]], turn: Turn, number: int) -> tuple[int, str]:
    """The place and the new id of the call that a result belongs to; without an id, to the first
    that has no result yet."""
    given = turn.tool_call_id or next(iter(calls), None)
    if given is None or given not in calls:
        raise DropRecord(
            "result_without_call",
            f"row {number}: a result of the call {turn.tool_call_id!r}, which the turn before it "
            "did not make",
        )
    return calls.pop(given)


def _join_turns(one: Turn, other: Turn) -> Turn:
    thoughts = [text for text in (one.thoughts, other.thoughts) if text is not None]
    return one._replace(
        content="\n\n".join(text for text in (one.content, other.content) if text),
        thoughts="\n\n".join(thoughts) if thoughts else None,
        tool_calls=[*(one.tool_calls or ()), *(other.tool_calls or ())] or None,
    )


def read_outcome(value: Any, where: str) -> float:
    """An outcome as a number; true is 1, false 0. Raises DropRecord."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise DropRecord(
            "wrong_outcome",
            f"{where} is {value!r:.80}, expected a finite number, true or false",
            "outcome_field of the source names the outcome.",
        )
    return float(value)
