"""params.yaml, its recipe, and dvc.yaml say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prefdata.cli.app import build_parser
from prefdata.config import load_params
from prefdata.pipelines import layout
from prefdata.pipelines.stages.registry import STAGES


def test_the_demo_recipe_is_the_default(root: Path) -> None:
    assert load_params(root / "params.yaml") == load_params(root / "recipes" / "demo.yaml")


@pytest.mark.parametrize("path", ["params.yaml", "recipes"])
def test_every_recipe_is_valid(path: str, root: Path) -> None:
    files = [root / path] if path.endswith("yaml") else sorted((root / path).glob("*.yaml"))
    assert files
    for file in files:
        load_params(file)


def test_dvc_has_a_stage_a_command_and_covers_every_table(root: Path) -> None:
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    assert list(stages) == list(STAGES)
    assert all(stage["cmd"] == f"prefdata {name}" for name, stage in stages.items())
    outs = [out for stage in stages.values() for out in stage["outs"]]
    wanted = {f"data/{folder}" for folder in layout.OUTPUT_OF.values()}
    wanted |= {f"data/dropped/{stage}" for stage in layout.OUTPUT_OF} | {"data/reward_head"}
    assert set(outs) == wanted


def test_every_stage_has_a_command_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    parser = build_parser()
    for command in [*STAGES, "run", "status", "schemas"]:
        with pytest.raises(SystemExit) as stopped:
            parser.parse_args([command, "--help"])
        assert stopped.value.code == 0
        assert "examples:" in capsys.readouterr().out
