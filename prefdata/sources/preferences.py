"""A row of any preference dataset becomes a prompt, a chosen and a rejected response.

Every form in which trainers take pairs today, told apart by the columns and what is in them:

| form | columns |
|---|---|
| explicit prompt | prompt (text or messages), chosen, rejected (text, a message, or messages) |
| whole conversations | chosen, rejected: messages that share the prompt (`prompt` may repeat it) |
| HH transcripts | chosen, rejected: texts of `\\n\\nHuman:` and `\\n\\nAssistant:` turns |
| messages beside | messages or conversations, and chosen, rejected: one message each |
| instruction | instruction, input?, system?, history?, chosen, rejected: texts |
| OpenAI | input{messages}, preferred_output, non_preferred_output |
| HelpSteer2 | prompt, response_1, response_2, preference_strength (above 0: response_2) |
| HelpSteer3 | context, response1, response2, overall_preference (below 0: response1) |
| AlpacaFarm | instruction, input, output_1, output_2, preference (1 or 2) |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prefdata.errors import ConfigError, DropRecord, SourceError
from prefdata.sources import hh
from prefdata.sources.prompt_rows import Turn, check, message_turns

PROMPTS = ("prompt", "messages", "conversations", "context", "instruction", "question", "query")
SIDES = {
    "chosen": ("chosen", "chosen_response", "preferred", "accepted"),
    "rejected": ("rejected", "rejected_response", "dispreferred"),
}
MARGINS = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"))

_TRANSCRIPT = re.compile(r"\s*(Human|Assistant):")


@dataclass(frozen=True)
class Preferred:
    """A pair as found; `margin` is how much better the chosen one is said to be, if it is said."""

    prompt: list[Turn]
    chosen: str
    rejected: str
    margin: float | None = None


@dataclass(frozen=True)
class Form:
    """A form of preference rows: what it is called and how a row is read."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[dict[str, Any]], Preferred]


def named_columns(given: str | None) -> dict[str, str]:
    """`prompt=question,chosen=good` as a mapping; the names on the left are fixed."""
    columns = {}
    for part in (given or "").split(",") if given else []:
        name, sign, column = part.partition("=")
        if not sign or name not in ("prompt", *SIDES) or not column:
            raise ConfigError(
                f"--columns {given}: {part!r} is not NAME=COLUMN",
                "Name columns as in prompt=question,chosen=good,rejected=bad.",
            )
        columns[name] = column
    return columns


def form_of(row: Any, where: str, named: Mapping[str, str]) -> Form:
    """The form of a dataset, by its first row. Raises SourceError naming the columns found."""
    if not isinstance(row, dict):
        raise SourceError(f"{where}: its rows are {type(row).__name__}, expected objects")
    for name, column in named.items():
        if column not in row:
            raise SourceError(f"{where}: has no column {column!r} for {name}; {_found(row)}")
    if not named:
        for form in _SPECIAL:
            if set(form.columns) <= set(row):
                return form
    sides: dict[str, str] = {}
    for side, names in SIDES.items():
        column = named.get(side) or next((n for n in names if n in row), "")
        if not column:
            raise SourceError(
                f"{where}: no column of {side} responses; {_found(row)}",
                "Say which they are: --columns prompt=P,chosen=C,rejected=R. Known forms: a column "
                "each for chosen and rejected (with or without a prompt); "
                + "; ".join(f"{f.name} ({', '.join(f.columns)})" for f in _SPECIAL)
                + ". Ratings of single responses and ranked lists are no pairs yet.",
            )
        sides[side] = column
    prompt = named.get("prompt") or next((n for n in PROMPTS if n in row), None)
    if prompt is None and "input" in row:
        prompt = "input"
    chosen = row[sides["chosen"]]
    if prompt is None and isinstance(chosen, str) and not _TRANSCRIPT.match(chosen):
        raise SourceError(
            f"{where}: {sides['chosen']!r} is text and there is no prompt beside it; {_found(row)}",
            "Name the prompt's column: --columns prompt=P.",
        )
    columns = tuple(c for c in (prompt, *sides.values()) if c)
    return Form(
        _name(row, prompt, chosen), columns, lambda row: _pair(row, prompt, *sides.values())
    )


def _name(row: dict[str, Any], prompt: str | None, chosen: Any) -> str:
    if prompt is None:
        return "HH transcripts" if isinstance(chosen, str) else "whole conversations"
    if isinstance(chosen, list):
        first = chosen[0] if chosen and isinstance(chosen[0], dict) else {}
        if first.get("role", first.get("from")) not in ("assistant", "gpt"):
            return f"whole conversations, {prompt} repeated"
    kinds: dict[type, str] = {str: "text", list: "messages", dict: "a message"}
    kind = kinds.get(type(chosen), type(chosen).__name__)
    asked = "text" if isinstance(row[prompt], str) else "messages"
    return f"{prompt} ({asked}), responses as {kind}"


def _pair(row: dict[str, Any], prompt: str | None, chosen: str, rejected: str) -> Preferred:
    """A row with a column for each side."""
    for name in (n for n in (prompt, chosen, rejected) if n):
        if row.get(name) is None:
            raise DropRecord("missing_field", f"{name!r} is not here, or null")
    sides = [row[chosen], row[rejected]]
    if prompt is None and all(isinstance(side, str) for side in sides):
        turns, texts = _transcripts(*sides)
    elif all(isinstance(side, str) for side in sides):
        turns, texts = _asked(row, prompt), sides
    elif all(isinstance(side, dict) for side in sides):
        turns = _asked(row, prompt)
        texts = [_answer(message_turns([side], chosen), []) for side in sides]
    else:
        both = [message_turns(side, chosen) for side in sides]
        if any(side and side[0][0] != "assistant" for side in both) or prompt is None:
            turns = _shared(*both)
        else:
            turns = _asked(row, prompt)
            both = [turns + side for side in both]
        texts = [_answer(side, turns) for side in both]
    return Preferred(_checked(turns, texts), texts[0], texts[1], _margin(row))


def _asked(row: dict[str, Any], prompt: str | None) -> list[Turn]:
    """The prompt of its own column, with what instruction datasets put beside it."""
    assert prompt is not None
    value = row[prompt]
    if not isinstance(value, str):
        return message_turns(value, prompt)
    turns = [("system", row["system"])] if row.get("system") else []
    for asked, answered in row.get("history") or []:
        turns += [("user", asked), ("assistant", answered)]
    extra = row.get("input") if prompt == "instruction" else None
    return [*turns, ("user", f"{value}\n{extra}" if extra else value)]


def _shared(one: list[Turn], other: list[Turn]) -> list[Turn]:
    """The turns that both conversations open with, up to the last answer at most."""
    count = 0
    for mine, yours in zip(one[:-1], other[:-1], strict=False):
        if mine != yours:
            break
        count += 1
    return one[:count]


def _answer(turns: list[Turn], prompt: list[Turn]) -> str:
    rest = turns[len(prompt) :]
    if len(rest) != 1 or rest[0][0] != "assistant":
        found = ", ".join(role for role, _ in rest) or "nothing"
        raise DropRecord(
            "several_turns", f"behind the shared prompt stands {found}, expected one response"
        )
    return rest[0][1]


def _transcripts(chosen: str, rejected: str) -> tuple[list[Turn], list[str]]:
    messages = hh.to_messages({"chosen": chosen, "rejected": rejected})["messages"]
    turns = [(m["role"], m["content"].strip()) for m in messages]
    responses = []
    for text in (chosen, rejected):
        spoken = hh.turns(text)
        responses.append(_answer(spoken, spoken[: len(turns)]))
    return turns, responses


def _checked(turns: list[Turn], texts: list[str]) -> list[Turn]:
    check(turns)
    for side, text in zip(SIDES, texts, strict=True):
        if not isinstance(text, str):
            raise DropRecord("wrong_type", f"{side} is {type(text).__name__}, expected text")
        if not text.strip():
            raise DropRecord("empty_response", f"the {side} response holds no text")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DropRecord(
                "invalid_unicode", f"{side} holds a lone surrogate at {error.start}"
            ) from error
    return turns


def _margin(row: dict[str, Any]) -> float | None:
    if isinstance(row.get("margin"), int | float):
        return float(row["margin"])
    for better, worse in MARGINS:
        scores = [row.get(better), row.get(worse)]
        if all(isinstance(score, int | float) for score in scores):
            return float(scores[0]) - float(scores[1])  # type: ignore[arg-type]
    return None


def _voted(
    turns: Callable[[dict[str, Any]], list[Turn]], one: str, other: str, vote: str, middle: float
) -> Callable[[dict[str, Any]], Preferred]:
    """A row with two responses and a number: above `middle` the second one is preferred."""

    def read(row: dict[str, Any]) -> Preferred:
        strength = row.get(vote)
        if not isinstance(strength, int | float):
            raise DropRecord("missing_field", f"{vote!r} is {strength!r}, expected a number")
        if strength == middle:
            raise DropRecord("tie", f"{vote} is {strength:g}: neither response is preferred")
        names = (one, other) if strength < middle else (other, one)
        texts = [row.get(name) for name in names]
        asked = _checked(turns(row), texts)  # type: ignore[arg-type]
        return Preferred(asked, str(texts[0]), str(texts[1]), abs(strength - middle))

    return read


def _openai(row: dict[str, Any]) -> Preferred:
    given = row["input"]
    if not isinstance(given, dict):
        raise DropRecord("wrong_type", f"input is {type(given).__name__}, expected an object")
    turns = message_turns(given.get("messages"), "input.messages")
    texts = [
        _answer(message_turns(row[name], name), [])
        for name in ("preferred_output", "non_preferred_output")
    ]
    return Preferred(_checked(turns, texts), texts[0], texts[1])


_SPECIAL = (
    Form("OpenAI", ("input", "preferred_output", "non_preferred_output"), _openai),
    Form(
        "HelpSteer2",
        ("prompt", "response_1", "response_2", "preference_strength"),
        _voted(
            lambda row: _asked(row, "prompt"), "response_1", "response_2", "preference_strength", 0
        ),
    ),
    Form(
        "HelpSteer3",
        ("context", "response1", "response2", "overall_preference"),
        _voted(
            lambda row: _asked(row, "context"), "response1", "response2", "overall_preference", 0
        ),
    ),
    Form(
        "AlpacaFarm",
        ("instruction", "output_1", "output_2", "preference"),
        _voted(lambda row: _asked(row, "instruction"), "output_1", "output_2", "preference", 1.5),
    ),
)


def _found(row: dict[str, Any]) -> str:
    return f"it has: {', '.join(map(str, row)) or 'none'}"
