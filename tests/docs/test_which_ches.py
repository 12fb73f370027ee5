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
    rows = [line for line in page.splitlines() if line.startswith("| displacement")]
    (demo,) = (row for row in rows if "--kinds" not in row)
    (real,) = (row for row in rows if "--kinds" in row)
    figures = re.search(
        r"displacement (0\.\d+) \(.*length (0\.\d+), length-normalised CHES (0\.\d+)\)", demo
    )
    trained = re.search(
        r"similarity \((0\.\d+)\), length-normalised CHES \((0\.\d+)\), CHES \((0\.\d+)\)", real
    )
    assert figures is not None
    assert trained is not None
    said = re.findall(r"-?0\.\d+", WHICH_MEASURE)
    assert said == [trained[2], trained[3], trained[1], figures[3], figures[1], figures[2]]
    ches = (DOCS / "explanation" / "ches.md").read_text(encoding="utf-8")
    assert [figure for figure in said if figure not in ches] == []
