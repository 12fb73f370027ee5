"""Where CHES or its normalised form is chosen, the text says what was measured of them."""

from __future__ import annotations

import re

import typer
from blocks import DOCS

from prefdata.ches.which import WHICH_MEASURE
from prefdata.cli.app import build_app
from prefdata.filters.pairs.ches import ChesConfig
from prefdata.pairs.lowest_ches import LowestChesConfig


def test_the_settings_say_which_ches() -> None:
    command = typer.main.get_command(build_app()).commands["ches"]  # type: ignore[attr-defined]
    (option,) = [each for each in command.params if each.name == "measure"]
    for text in (
        ChesConfig.model_fields["measure"].description,
        LowestChesConfig.model_fields["measure"].description,
        option.help,
    ):
        assert text is not None
        assert WHICH_MEASURE in text


def test_the_figures_are_those_of_the_measurements() -> None:
    page = (DOCS / "explanation" / "measurements.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| displacement")]
    plain, length, normalised = re.findall(
        r"displacement (0\.\d+)|length (0\.\d+),|CHES (0\.\d+)\)", row
    )
    said = re.findall(r"0\.\d+", WHICH_MEASURE)
    assert said == [normalised[2], plain[0], length[1]]
    ches = (DOCS / "explanation" / "ches.md").read_text(encoding="utf-8")
    assert [figure for figure in said if figure not in ches] == []
