"""The form of AlpacaFarm: two outputs, and the number of the preferred one."""

from __future__ import annotations

from typing import Any

from prefdata.errors import DropRecord
from prefdata.sources.base import NoFault
from prefdata.sources.rows.conversations import Turn, check_prompt, read_text
from prefdata.sources.rows.preference_forms.row import SIDES, Form, PreferenceRow, read_prompt
from prefdata.sources.rows.values import is_number

_MIDDLE = 1.5
"""The preference is 1 or 2."""


def _read_alpaca_farm(row: dict[str, Any]) -> PreferenceRow:
    preference = row.get("preference")
    if not is_number(preference):
        raise DropRecord("missing_field", f"'preference' is {preference!r:.40}, expected 1 or 2")
    if preference == _MIDDLE:
        raise NoFault("tie", f"preference is {preference:g}: neither response is preferred")
    names = ("output_1", "output_2") if preference < _MIDDLE else ("output_2", "output_1")
    turns, tools = read_prompt(row, "instruction")
    chosen, rejected = (
        Turn("assistant", read_text(row.get(name), side))
        for name, side in zip(names, SIDES, strict=True)
    )
    check_prompt(turns)
    return PreferenceRow(turns, chosen, rejected, tools)


ALPACA_FARM = Form(
    "AlpacaFarm",
    ("instruction", "output_1", "output_2", "preference"),
    _read_alpaca_farm,
    ("system", "history", "input"),
)
