"""Pages of a whole run, of a version alone, and of runs that lack this or that."""

from __future__ import annotations

import shutil
from pathlib import Path

import flows
import pytest

from prefdata.config import Params
from prefdata.errors import ConfigError
from prefdata.pipelines.stages.registry import STAGES
from prefdata.reports.funnel import report_funnel
from prefdata.reports.page.content import Chart, Page
from prefdata.reports.page.render import render_page
from prefdata.reports.page.rows import list_judges
from prefdata.reports.page.run import compose_run
from prefdata.reports.page.version import compose_version
from prefdata.tables.catalog import TABLES


def compose(params: Params) -> Page:
    return compose_run(params, report_funnel(params, STAGES, TABLES, {}))


def list_charts(page: Page) -> set[str]:
    return {part.title for each in page.sections for part in each.parts if isinstance(part, Chart)}


def test_a_page_shows_what_there_is_and_says_what_there_is_not(tmp_path: Path) -> None:
    params = flows.params(tmp_path, 12)
    with pytest.raises(ConfigError, match="no stage of the run is done"):
        compose(params)
    flows.run(params)
    page = compose(params)
    assert list_charts(page) >= {
        "What each stage kept", "Why records were dropped", "Labels", "Lengths", "CHES",
        "Agreement", "Swap flips", "Calibration", "Chosen against rejected",
        "The prompts on a map", "Tokens by model call",
    }  # fmt: skip
    assert page.rows
    rows = page.rows.rows
    kept = flows.read(tmp_path, "filtered")
    assert {row["id"] for row in rows if not row["dropped"]} == set(kept["pair_id"])
    reasons = {(row["stage"], row["reason"]) for row in rows if row["dropped"]}
    for stage in ("consensus", "pair", "filter"):
        dropped = flows.read(tmp_path, f"dropped/{stage}")
        assert {(stage, reason) for reason in dropped["reason"]} <= reasons
    assert list_judges(rows) == {"pairwise", "implicit_reward"}
    assert all(row["prompt"] and len(row["responses"]) == 2 for row in rows)
    assert render_page(page) == render_page(compose(params))

    alone = compose_version(str(tmp_path / "data" / "dataset"))
    assert alone.rows
    assert {row["id"] for row in alone.rows.rows} == set(kept["pair_id"])
    assert {"Lengths", "CHES", "The prompts on a map"} <= list_charts(alone)
    pairs = {row["id"]: row for row in rows}
    for row in alone.rows.rows:
        assert row["responses"] == pairs[row["id"]]["responses"]
        assert row["prompt"] == pairs[row["id"]]["prompt"]
        assert row["ches"] == pairs[row["id"]]["ches"]

    for table in ("ches", "judgments", "augmented", "filtered", "dataset", "stats"):
        shutil.rmtree(tmp_path / "data" / table)
    less = compose(params)
    assert list_charts(less) >= {"Labels", "Lengths"}
    assert not list_charts(less) & {"CHES", "Agreement", "Tokens by model call"}
    shutil.rmtree(tmp_path / "data" / "pairs")
    bare = compose(params)
    assert "Nothing to show" in {s.name: s.lead for s in bare.sections}["distributions"]
    assert bare.rows
    assert {row["dropped"] for row in bare.rows.rows} == {True}
