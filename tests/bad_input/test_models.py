"""Models that are none, or can't do what is asked: the command stops before the first table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import pytest

from prefdata.cli import app as cli


def expect_stop(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, models: dict[str, Any]
) -> str:
    flows.write_prompts(folder, 4)
    scripted = {"engine": "scripted", "model": "reference"}
    params = flows.write_params(folder, models={"reference": scripted, **models})
    assert cli.main([command, "--params", str(params), "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"prefdata {command}: ")
    assert "Traceback" not in captured.err
    assert not (folder / "data").exists()
    return captured.err


@pytest.mark.parametrize("command", ["run", "ingest", "generate"])
def test_a_folder_without_a_model_is_named_with_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    policy = {"engine": "transformers", "model": str(folder)}
    said = expect_stop(tmp_path, capsys, command, {"policy": policy})
    assert f"models.policy.model: {folder} is not a model folder: no config.json" in said
    assert "(it holds: notes.txt, weights.bin)" in said
    assert "remedy: Name a folder that `save_pretrained` wrote, or a Hugging Face model" in said


def test_an_empty_folder_is_no_model_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    policy = {"engine": "transformers", "model": str(tmp_path / "model")}
    said = expect_stop(tmp_path, capsys, "run", {"policy": policy})
    assert "no config.json (it holds: nothing)" in said
