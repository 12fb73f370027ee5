"""What is installed: one package, the pipelines and schemas inside it, with all that it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path

import pytest

CODE = """
import prefdata.pipelines.stages.registry as registry
import prefdata.judges.registry as judges
from prefdata.config.starter import Starter
print(registry.__file__)
print(sorted(judges.JUDGES.parts)[0])
print(Starter({"path": "prompts.jsonl"}, "transformers", "a/model").render("params.yaml"))
"""
LINKED = ("pipelines", "schemas")
"""Folders of the repository that are installed inside the package."""


def list_files(folder: Path) -> set[str]:
    """All files below the folder, links followed; no bytecode."""
    found = {
        Path(path, name).relative_to(folder)
        for path, _, names in os.walk(folder, followlinks=True)
        for name in names
    }
    return {str(path) for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder that the package is installed in from a copy of its sources."""
    root = request.config.rootpath
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(root / name, copy / name)
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("prefdata", *LINKED):
        shutil.copytree(root / name, copy / name, symlinks=True, ignore=skipped)
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    flags = ["--no-build-isolation", "--no-compile", "--target", str(target), str(copy)]
    subprocess.run([*command, *flags], check=True)
    return target


def test_there_is_one_package(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names - {"bin"} == {"prefdata"}


def test_every_file_of_the_tree_is_in_it_and_no_other(installed: Path, root: Path) -> None:
    wanted = list_files(root / "prefdata")
    assert {f"{name}/__init__.py" for name in ("judges", "pipelines")} < wanted
    assert {"schemas/params.json", "py.typed", "dataset/card.md.jinja"} < wanted
    assert list_files(installed / "prefdata") == wanted


def test_its_metadata_say_what_it_is(installed: Path) -> None:
    (info,) = installed.glob("prefdata-*.dist-info")
    metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert sorted(path.name for path in (info / "licenses").iterdir()) == ["LICENSE", "NOTICE"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert metadata["Requires-Python"] == ">=3.11"
    assert "prefdata = prefdata.cli.app:main" in (info / "entry_points.txt").read_text()


def test_it_runs_from_there(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, kind, *params = done.stdout.splitlines()
    assert Path(where).is_relative_to(installed / "prefdata" / "pipelines")
    assert kind == "constraints"
    assert "  policy:" in params
