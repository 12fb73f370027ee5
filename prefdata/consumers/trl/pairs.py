"""What TRL's trainers of pairs have in common.

trl 1.16.0, data_utils.py: is_conversational, extract_prompt, maybe_extract_prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.consumers.base import Problem, Reading, Row, refuse, stop
from prefdata.consumers.conversations import (
    begins_with,
    describe,
    explain_null_keys,
    is_messages,
    is_text,
)

_UNREAD = ("question", "instruction", "input", "query", "context", "conversations")
"""Columns in which others have the prompt, and which TRL does not know."""
COLUMNS = frozenset({"prompt", "chosen", "rejected", "messages", "completion", *_UNREAD})

_EXPORT = "Export it as trl (prefdata export), or bring all three columns into one form."


def read_pair(row: Row, *, finds_prompt: bool = False) -> Reading:
    """What a trainer of pairs makes of prompt, chosen and rejected.

    Args:
        row: The row.
        finds_prompt: Whether it looks for the prompt in the responses where prompt and responses
            are not of one form, as ORPO and CPO do.
    """
    for side in ("chosen", "rejected"):
        if side not in row:
            return refuse(f"there is no column {side}: KeyError: '{side}'", _EXPORT)
    if "prompt" not in row:
        return _read_implicit(row)
    prompt, chosen, rejected = (row[name] for name in ("prompt", "chosen", "rejected"))
    if is_messages(prompt, chosen, rejected):
        if not finds_prompt:
            stray = find_stray(row, True)
            if stray:
                return stray
        problems = explain_null_keys(prompt, chosen, rejected)
        if begins_with(chosen, prompt) or begins_with(rejected, prompt):
            problems.append(_explain_twice())
        return Reading("explicit prompt", problems)
    if is_text(prompt, chosen, rejected):
        stray = find_stray(row, False)
        if stray:
            return stray
        twice = bool(prompt) and (chosen.startswith(prompt) or rejected.startswith(prompt))
        return Reading("explicit prompt, as text", [_explain_twice()] if twice else [])
    if finds_prompt and is_text(prompt) and is_messages(chosen, rejected):
        return _read_implicit(row)
    return stop(
        f"prompt is {describe(prompt)}, chosen {describe(chosen)}, rejected {describe(rejected)}: "
        "joining them is an error (AttributeError, TypeError or KeyError)",
        "Bring prompt, chosen and rejected into one form: all texts, or all lists of messages. "
        "Whole conversations need no column prompt.",
    )


def _read_implicit(row: Row) -> Reading:
    chosen, rejected = row["chosen"], row["rejected"]
    if is_messages(chosen, rejected):
        shared = 0
        for one, other in zip(chosen[:-1], rejected[:-1], strict=False):
            if one != other:
                break
            shared += 1
        if not shared:
            return refuse(
                "there is no prompt, neither in a column nor as turns that both begin with: "
                "IndexError or an empty conversation",
                "Put the prompt's turns in a column prompt, or before both responses.",
            )
        problems = [*explain_null_keys(chosen, rejected), *explain_unread(row)]
        if max(len(chosen), len(rejected)) > shared + 1:
            problems.append(
                Problem(
                    "misreads",
                    "the conversations part before their last turn: all behind that is trained on "
                    "as the response, the user's turns too",
                    "Cut both at the first turn that differs.",
                )
            )
        return Reading("implicit prompt", problems)
    if is_text(chosen, rejected):
        stray = find_stray(row, False)
        if stray:
            return stray
        unread = explain_unread(row)
        if unread:
            return Reading("implicit prompt, as text", unread)
        if chosen[:1] != rejected[:1]:
            lacking = Problem(
                "misreads",
                "the two texts share no beginning, so the prompt is empty",
                "Put the prompt in a column prompt.",
            )
            return Reading("implicit prompt, as text", [lacking])
        return Reading("implicit prompt, as text")
    return refuse(
        f"chosen is {describe(chosen)}, rejected {describe(rejected)}: AttributeError, TypeError "
        "or KeyError",
        _EXPORT,
    )


def explain_unread(row: Row) -> list[Problem]:
    """The problem of a prompt in a column of a name that TRL does not know."""
    unread = [name for name in _UNREAD if is_text(row.get(name)) or is_messages(row.get(name))]
    if "prompt" in row or not unread:
        return []
    return [
        Problem(
            "misreads",
            f"there is no column prompt, and the column {unread[0]} is not read: training lacks it",
            f"Rename the column {unread[0]} to prompt, if that is what it holds.",
        )
    ]


def find_stray(
    row: Row, conversational: bool, columns: Sequence[str] = ("messages", "completion")
) -> Reading | None:
    """The reading of a row of which one of the columns is of another form, and which TRL may look
    at instead; None: there is none."""
    for name in columns:
        if name in row and is_messages(row[name]) is not conversational:
            return stop(
                f"TRL tells texts from conversations by any one of the columns, and {name} is "
                f"{describe(row[name])}: whether it stops is a matter of chance",
                f"Remove the column {name}.",
            )
    return None


def _explain_twice() -> Problem:
    return Problem(
        "misreads",
        "chosen or rejected begins with the prompt, which then stands there twice",
        "Remove the column prompt, or the prompt from chosen and rejected.",
    )
