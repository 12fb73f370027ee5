"""Rows with a column for each side: pairs beside a prompt, whole conversations, transcripts."""

from __future__ import annotations

from typing import Any

from prefdata.sources.rows import transcripts
from prefdata.sources.rows.conversations import Turn
from prefdata.sources.rows.messages import read_conversation, read_response, take_response
from prefdata.sources.rows.preference_forms.row import (
    SIDES,
    PreferenceRow,
    check_pair,
    read_prompt,
    require,
)
from prefdata.sources.rows.transcripts import align, is_transcript


def describe_columns(row: dict[str, Any], prompt: str | None, chosen: Any) -> str:
    """The name of a form, by its first row, the column of the prompt and the chosen side."""
    if prompt is None:
        return "HH transcripts" if isinstance(chosen, str) else "whole conversations"
    if isinstance(chosen, str) and is_transcript(chosen):
        return f"HH transcripts, {prompt} repeated"
    if isinstance(chosen, str) and isinstance(row[prompt], str) and is_transcript(row[prompt]):
        return f"{prompt} (HH transcript), responses as text"
    if isinstance(chosen, list):
        first = chosen[0] if chosen and isinstance(chosen[0], dict) else {}
        if first.get("role", first.get("from")) not in ("assistant", "gpt"):
            return f"whole conversations, {prompt} repeated"
    kinds: dict[type, str] = {str: "text", list: "messages", dict: "a message"}
    kind = kinds.get(type(chosen), type(chosen).__name__)
    asked = "text" if isinstance(row[prompt], str) else "messages"
    return f"{prompt} ({asked}), responses as {kind}"


def read_pair(row: dict[str, Any], prompt: str | None, chosen: str, rejected: str) -> PreferenceRow:
    """Read a row with a column for each side."""
    if prompt is not None:
        require(row, prompt)
    sides = {name: require(row, name) for name in (chosen, rejected)}
    tools = None
    if prompt is None and all(isinstance(side, str) for side in sides.values()):
        turns, responses = _read_transcripts(*sides.values())
    elif all(isinstance(side, str) and is_transcript(side) for side in sides.values()):
        # The column of the prompt repeats what the transcripts begin with, all or its last turn.
        turns, responses = _read_transcripts(*(align(side) for side in sides.values()))
    elif prompt is not None and all(isinstance(side, str | dict) for side in sides.values()):
        turns, tools = read_prompt(row, prompt)
        if is_transcript(str(row[prompt])):
            # Behind the mark of a transcript stands a blank that is not the response's.
            for name, side in sides.items():
                sides[name] = side.strip() if isinstance(side, str) else side
        responses = [read_response(side, n, tools is not None) for n, side in sides.items()]
    else:
        read = [read_conversation(side, n, row.get("tools")) for n, side in sides.items()]
        both, tools = [each.turns for each in read], read[0].tools
        if any(side and side[0].role != "assistant" for side in both) or prompt is None:
            turns = _share_turns(*both)
        else:
            turns, tools = read_prompt(row, prompt)
            both = [turns + side for side in both]
        responses = [
            take_response(side[len(turns) :], n) for side, n in zip(both, sides, strict=True)
        ]
    check_pair(turns, responses)
    return PreferenceRow(turns, responses[0], responses[1], tools)


def _share_turns(one: list[Turn], other: list[Turn]) -> list[Turn]:
    """The turns that both conversations begin with, without the last turn of either."""
    count = 0
    for mine, yours in zip(one[:-1], other[:-1], strict=False):
        if mine != yours:
            break
        count += 1
    return one[:count]


def _read_transcripts(chosen: str, rejected: str) -> tuple[list[Turn], list[Turn]]:
    shared = transcripts.read_shared_prompt({"chosen": chosen, "rejected": rejected})
    turns = [turn._replace(content=turn.content.strip()) for turn in shared]
    whole = [transcripts.read_turns(text) for text in (chosen, rejected)]
    return turns, [
        take_response(each[len(turns) :], n) for each, n in zip(whole, SIDES, strict=True)
    ]
