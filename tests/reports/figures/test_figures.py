"""Figures: the same bytes for the same data, colours that a page can change, and names as data."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import polars as pl
import pytest
from matplotlib.figure import Figure

from prefdata.dataset.manifest import StageEntry
from prefdata.inference.usage import Usage
from prefdata.reports.figures.costs import draw_tokens
from prefdata.reports.figures.distributions import bin_values, draw_distribution
from prefdata.reports.figures.drawing import THEMED, write_png, write_svg
from prefdata.reports.figures.funnel import MAX_REASONS, count_drops, draw_drops, draw_funnel
from prefdata.reports.figures.judges import draw_agreement, draw_calibration, draw_flips
from prefdata.reports.figures.prompts import MAX_GROUPS, OTHERS, draw_map

HOSTILE = '</svg><script>alert(1)</script>$\\frac{1}{0$"\u202e\x1b\u6f22'


def count_stage(**dropped: int) -> StageEntry:
    lost = sum(dropped.values())
    return StageEntry(
        stage="filter", unit="pairs", rows_in=10 + lost, rows_out=10, dropped=dropped, models={}
    )


def draw_curve(names: list[str]) -> Figure:
    points = {"confidence": 0.7, "accuracy": 0.8, "comparisons": 9}
    rows = [{"judge": name, **points} for name in names]
    schema = {"judge": pl.String, "confidence": pl.Float64, "accuracy": pl.Float64}
    return draw_calibration(pl.DataFrame(rows, schema=schema), HOSTILE)


def draw_matrix(names: list[str]) -> Figure:
    rows = [{"judge": n, "other": "o", "agree": 0.5, "kappa": None} for n in names]
    schema = {"judge": pl.String, "other": pl.String, "agree": pl.Float64, "kappa": pl.Float64}
    return draw_agreement(pl.DataFrame(rows, schema=schema))


def draw_points(names: list[str]) -> Figure:
    rows = [{"x": 0.0, "y": 1.0, "group": name} for name in [*names, *names]]
    return draw_map(
        pl.DataFrame(rows, schema={"x": pl.Float64, "y": pl.Float64, "group": pl.String})
    )


FIGURES: dict[str, Callable[[list[str]], Figure]] = {
    "funnel": lambda names: draw_funnel([count_stage(**{name: 3}) for name in names]),
    "drops": lambda names: draw_drops([count_stage(**{name: 3}) for name in names]),
    "distribution": lambda names: draw_distribution(
        {name: pl.Series([1.0, 2.0, None]) for name in [*names, *(f"{n}2" for n in names)]},
        HOSTILE,
    ),
    "agreement": draw_matrix,
    "flips": lambda names: draw_flips(
        pl.DataFrame(
            {"judge": names, "flips": [None] * len(names)},
            schema={"judge": pl.String, "flips": pl.Float64},
        )
    ),
    "calibration": draw_curve,
    "map": draw_points,
    "tokens": lambda names: draw_tokens({n: Usage(requests=1, tokens_in=2) for n in names}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_svg_is_data_in_the_pages_colours(name: str) -> None:
    svgs = [write_svg(FIGURES[name](["a", HOSTILE]), name) for _ in range(2)]
    assert svgs[0] == svgs[1]
    root = ElementTree.fromstring(svgs[0])
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "style", "metadata"}
    attributes = [item for element in root.iter() for item in element.attrib.items()]
    assert "style" not in {key for key, _ in attributes}
    assert not any(colour in value for colour in THEMED for _, value in attributes)
    ids = {value for key, value in attributes if key == "id"}
    assert all(each.startswith(f"{name}-") for each in ids)
    for key, value in attributes:
        if key.endswith("href") or value.startswith("url("):
            assert value.strip("url()#") in ids
    # The funnel names stages, which are not data.
    assert name == "funnel" or "</svg><script>" in "".join(root.itertext())


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_to_draw_is_drawn(name: str) -> None:
    assert write_svg(FIGURES[name]([]), name).startswith("<svg")


def test_png_has_the_same_bytes() -> None:
    pngs = {write_png(draw_points(["a"]), dpi=40) for _ in range(2)}
    assert len(pngs) == 1
    assert pngs.pop().startswith(b"\x89PNG")


def test_values_are_binned_over_common_bins() -> None:
    binned = bin_values({"a": pl.Series([0.0, 1.0, None, float("inf")]), "b": pl.Series([1.0])}, 2)
    assert binned["a"].to_list() == [0.5, 0.5]
    assert binned["b"].to_list() == [0.0, 1.0]
    assert bin_values({"a": pl.Series([None], dtype=pl.Float64)}).height == 0
    assert bin_values({"a": pl.Series([3.0, 3.0])})["a"].sum() == 1


def test_rare_reasons_are_counted_together() -> None:
    counts = count_drops([count_stage(**{f"r{n:02}": 100 - n for n in range(MAX_REASONS + 2)})])
    assert len(counts) == MAX_REASONS
    assert counts[0] == ("filter", "r00", 100)
    assert counts[-1] == ("all", "3 other reasons", 87 + 86 + 85)


def test_small_groups_share_a_mark() -> None:
    svg = write_svg(draw_points([f"source {n}" for n in range(MAX_GROUPS + 2)]), "map")
    assert OTHERS in svg
    assert f"source {MAX_GROUPS}" not in svg
