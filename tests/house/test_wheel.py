"""What is installed: one package, the pipelines inside it, with all that it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from importlib import resources
import prefdata.pipelines.stages.registry as registry
import prefdata.judges.registry as judges
print(registry.__file__)
print(len(list((resources.files("prefdata.judges.prompted") / "prompts").iterdir())))
print(sorted(judges.JUDGES.parts)[0])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed in from a copy of its sources."""
    root = Path(__file__).resolve().parents[2]
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(root / name, copy / name)
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("prefdata", "pipelines"):
        shutil.copytree(root / name, copy / name, symlinks=True, ignore=skipped)
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    flags = ["--no-build-isolation", "--target", str(target), str(copy)]
    subprocess.run([*command, *flags], check=True)
    return target


def test_there_is_one_package(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names - {"bin"} == {"prefdata"}


def test_the_pipelines_and_the_prompts_are_in_it(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, prompts, kind = done.stdout.split()
    assert Path(where).is_relative_to(installed / "prefdata" / "pipelines")
    assert int(prompts) > 10
    assert kind == "constraints"
