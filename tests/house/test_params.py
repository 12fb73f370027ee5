"""params.yaml, its recipe, dvc.yaml and the commands say the same as STAGES."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prefdata.config import load_params
from prefdata.pipelines.stages.registry import STAGES, TOP_UP


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
    assert list(stages) == [stage.name for stage in STAGES]
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
