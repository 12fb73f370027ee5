"""params.yaml, its recipe, dvc.yaml and the commands say the same as STAGES."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prefdata.config import load_params
from prefdata.pipelines.stages.registry import STAGES, TOP_UP
from prefdata.reports.metrics import COLUMNS, METRICS


def test_the_demo_recipe_is_the_default(root: Path) -> None:
    assert load_params(root / "params.yaml") == load_params(root / "recipes" / "demo.yaml")


@pytest.mark.parametrize("path", ["params.yaml", "recipes"])
def test_every_recipe_is_valid(path: str, root: Path) -> None:
    files = [root / path] if path.endswith("yaml") else sorted((root / path).glob("*.yaml"))
    assert files
    for file in files:
        load_params(file)


def test_dvc_has_every_stage_and_covers_every_table(root: Path) -> None:
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    assert list(stages) == [*(stage.name for stage in STAGES), "metrics"]
    params = load_params(root / "params.yaml")
    for stage in STAGES:
        described = stages[stage.name]
        assert described["cmd"] == f"prefdata {stage.name}"
        # The tables that it reads are among what DVC follows.
        assert {f"data/{name}" for name in stage.reads(params)} <= set(described["deps"])
        # The export follows all of params.yaml.
        followed = described["params"]
        assert stage.section in followed or followed == [{"params.yaml": None}]
        outs = {f"data/{stage.table}"} if stage.table else set()
        outs |= {"data/reward_head"} if stage.name == "reward-head" else set()
        outs |= {f"data/dropped/{stage.name}"} if stage.name != "reward-head" else set()
        # What DVC removes before the stage runs, and what the stage itself keeps versions of.
        kept = [{"data/dataset": {"persist": True}}] if stage.name == "export" else []
        assert [out for out in described["outs"] if isinstance(out, dict)] == kept
        assert {out for out in described["outs"] if isinstance(out, str)} == outs


def test_every_stage_has_its_section_and_says_what_it_does(root: Path) -> None:
    params = load_params(root / "params.yaml")
    for stage in (*STAGES, TOP_UP):
        assert stage.section in type(params).model_fields
        assert stage.summary
        assert stage.unit


def test_dvc_compares_every_metric_and_plot_in_columns_that_there_are(root: Path) -> None:
    described = yaml.safe_load((root / "dvc.yaml").read_text())
    stage = described["stages"]["metrics"]
    tables = {f"data/{each.table}" for each in STAGES if each.table}
    assert tables | {"data/dataset"} <= set(stage["deps"])
    assert stage["outs"] == [{"data/metrics": {"cache": False}}]
    assert described["metrics"] == [f"data/metrics/{METRICS}"]
    shown = set()
    for name, plot in (item for each in described["plots"] for item in each.items()):
        named = plot["y"] if isinstance(plot["y"], dict) else {name: plot["y"]}
        ((path, y),) = named.items()
        x = plot["x"][path] if isinstance(plot["x"], dict) else plot["x"]
        columns = COLUMNS[Path(path).stem]
        assert {x, y} <= set(columns)
        assert (root / ".dvc" / "plots" / f"{plot['template']}.json").is_file()
        shown.add(Path(path))
    assert shown == {Path(f"data/metrics/{name}.csv") for name in COLUMNS}
    ignored = (root / ".gitignore").read_text().splitlines()
    assert "!/data/metrics/" in ignored
