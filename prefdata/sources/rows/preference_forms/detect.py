"""Which form the rows of a dataset have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from prefdata.errors import SourceError
from prefdata.sources.rows.preference_forms.alpaca_farm import ALPACA_FARM
from prefdata.sources.rows.preference_forms.hosted import GEMINI, OPENAI
from prefdata.sources.rows.preference_forms.row import SIDES, Form
from prefdata.sources.rows.preference_forms.sides import describe_columns, read_pair
from prefdata.sources.rows.preference_forms.trainers import MS_SWIFT, NEMO_RL

PROMPTS = ("prompt", "messages", "conversations", "context", "instruction", "question", "query")
_TRANSCRIPT = re.compile(r"\s*(Human|Assistant):")
_SPECIAL = (OPENAI, GEMINI, NEMO_RL, *MS_SWIFT, ALPACA_FARM)

SIGNATURES = (*product(*SIDES.values()), *(form.columns for form in _SPECIAL))
"""The columns by which a dataset of pairs is known."""


def detect_form(row: Any, where: str, named: Mapping[str, str]) -> Form:
    """The form of a dataset, by its first row.

    Args:
        row: The first row.
        where: The dataset's name, for errors.
        named: Columns named in the settings, by prompt, chosen and rejected.

    Raises:
        SourceError: It has none of the forms.
    """
    if not isinstance(row, dict):
        raise SourceError(f"{where}: its rows are {type(row).__name__}, expected objects")
    for name, column in named.items():
        if column not in row:
            raise SourceError(f"{where}: has no column {column!r} for {name}; {_list_columns(row)}")
    if not named:
        for form in _SPECIAL:
            if form.fits(row):
                return form
    sides: dict[str, str] = {}
    for side, names in SIDES.items():
        column = named.get(side) or next((n for n in names if n in row), "")
        if not column:
            raise SourceError(
                f"{where}: no column of {side} responses; {_list_columns(row)}",
                "Say which they are: `columns: {prompt: P, chosen: C, rejected: R}` of the source, "
                "or --columns prompt=P,chosen=C,rejected=R. Known forms: a column each for chosen "
                "and rejected (with or without a prompt); "
                + "; ".join(f"{f.name} ({', '.join(f.columns)})" for f in _SPECIAL)
                + ". Of other forms, `prefdata import` says by which kind they are read.",
            )
        sides[side] = column
    prompt = named.get("prompt") or next((n for n in PROMPTS if n in row), None)
    if prompt is None and "input" in row:
        prompt = "input"
    chosen = row[sides["chosen"]]
    if prompt is None and isinstance(chosen, str) and not _TRANSCRIPT.match(chosen):
        raise SourceError(
            f"{where}: {sides['chosen']!r} is text and there is no prompt beside it; "
            f"{_list_columns(row)}",
            "Name its column: `columns: {prompt: P}` of the source, or --columns prompt=P; or set "
            "shared_prefix, where both texts begin with it.",
        )
    columns = tuple(c for c in (prompt, *sides.values()) if c)
    name = describe_columns(row, prompt, chosen)
    spoken = prompt is not None and isinstance(row[prompt], str)
    beside = ("system", "history", *(("input",) if prompt == "instruction" else ()))
    return Form(
        name,
        columns,
        lambda row: read_pair(row, prompt, *sides.values()),
        beside if spoken else (),
    )


def _list_columns(row: dict[str, Any]) -> str:
    return f"it has: {', '.join(map(str, row)) or 'none'}"
