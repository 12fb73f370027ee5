"""A pair as a row has it, what the forms share in reading one, and what a form is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefdata.errors import DropRecord
from prefdata.sources.rows.conversations import Turn, check_prompt, check_response, read_text
from prefdata.sources.rows.messages import Conversation, read_conversation
from prefdata.sources.rows.preference_forms.scores import SCORES
from prefdata.sources.rows.tools import read_tools
from prefdata.sources.rows.transcripts import split_prompt

SIDES = {
    "chosen": ("chosen", "chosen_response", "preferred", "accepted"),
    "rejected": ("rejected", "rejected_response", "dispreferred"),
}


@dataclass(frozen=True)
class PreferenceRow:
    """A pair as the dataset has it."""

    prompt: list[Turn]
    chosen: Turn
    rejected: Turn
    tools: str | None = None


@dataclass(frozen=True)
class Form:
    """A form of preference rows: its name, the columns that identify it, its reader, and what else
    that reads where it is there."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[dict[str, Any]], PreferenceRow]
    beside: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """Columns that rows of the form have not."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has its columns."""
        return set(self.columns) <= set(row) and not set(self.without) & set(row)

    @property
    def reads(self) -> tuple[str, ...]:
        """All columns that are read of a row."""
        return (*self.columns, *self.beside, *(name for names in SCORES for name in names))


def require(row: dict[str, Any], name: str) -> Any:
    """The value of a column. Raises DropRecord where there is none."""
    if row.get(name) is None:
        raise DropRecord("missing_field", f"{name!r} is not here, or null")
    return row[name]


def read_prompt(row: dict[str, Any], prompt: str) -> Conversation:
    """Read the prompt of a row and its tools, with the extra columns of instruction datasets."""
    value = require(row, prompt)
    if not isinstance(value, str):
        return read_conversation(value, prompt, row.get("tools"))
    spoken = split_prompt(value)
    if spoken is not None:
        return Conversation(spoken, read_tools(row.get("tools"), "tools"))
    turns = [Turn("system", read_text(row["system"], "system"))] if row.get("system") else []
    for number, turn in enumerate(row.get("history") or [], 1):
        if not isinstance(turn, list | tuple) or [type(text) for text in turn] != [str, str]:
            raise DropRecord("wrong_type", f"history, turn {number} is no pair of texts")
        turns += [Turn("user", turn[0]), Turn("assistant", turn[1])]
    extra = row.get("input") if prompt == "instruction" else None
    turns.append(Turn("user", f"{value}\n{extra}" if extra else value))
    return Conversation(turns, read_tools(row.get("tools"), "tools"))


def check_pair(turns: list[Turn], responses: Sequence[Turn]) -> None:
    """Raises DropRecord where they are no prompt, or a response says nothing."""
    check_prompt(turns)
    for side, response in zip(SIDES, responses, strict=True):
        check_response(response, side)
