"""The notebooks are scripts that Jupyter opens; they run, and the pages name them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml
from blocks import DOCS, ROOT

NOTEBOOKS = {path.name: path for path in sorted((ROOT / "notebooks").glob("*.py"))}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_a_notebook_in_percent_form(name: str) -> None:
    text = NOTEBOOKS[name].read_text(encoding="utf-8")
    header, *cells = re.split(r"^# %%", text, flags=re.M)
    settings = yaml.safe_load(re.sub(r"^# ?", "", header, flags=re.M).strip("-\n"))
    assert settings["jupyter"]["jupytext"]["text_representation"]["format_name"] == "percent"
    prose = [cell for cell in cells if cell.startswith(" [markdown]\n")]
    assert prose[0] == cells[0]
    assert prose[0].startswith(" [markdown]\n# # ")
    assert len(prose) >= 5
    assert all(line.startswith("#") for cell in prose for line in cell.splitlines()[1:] if line)
    assert f"notebooks/{name}" in (DOCS / "how-to" / "notebook.md").read_text(encoding="utf-8")
    # Each is run: here, or with what the wheel brings alone.
    runs = Path(__file__).read_text() + (ROOT / ".ci" / "installed").read_text()
    assert f"notebooks/{name}" in runs


def test_ches_is_measured_on_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    names = runpy.run_path(str(ROOT / "notebooks/ches.py"))
    assert names["kept"].height == 16
    assert "16 of 20 pairs are kept" in capsys.readouterr().out
