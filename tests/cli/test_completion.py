"""Completion in the shell: what it offers, and that it loads next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prefdata.cli import completion
from prefdata.config import load_params
from prefdata.errors import ConfigError
from prefdata.reports.reference import kinds
from prefdata.reports.reference.packages import PACKAGES

HEAVY = ("polars", "numpy", "pyarrow", "apache_beam", "torch", "prefdata.config")


def given(**params: Any) -> Any:
    """The context of a command line that gave these so far."""
    return cast(Any, SimpleNamespace(params=params))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_kind_is_offered(package: Any) -> None:
    assert completion.complete_kinds(given(what=package.one), "") == list(package.parts)
    # The entry points that are looked up are those that the registry reads.
    group = completion._GROUPS.get(package.name, f"prefdata.{package.name}")
    assert group == package._registry.group


def test_every_place_that_is_offered_can_be_described() -> None:
    offered = completion.complete_places("generate")
    assert {"generate", "generate.n"} <= set(offered)
    for place in completion.complete_places(""):
        kinds.describe(place)
    assert completion.complete_parts("j") == ["judges"]
    assert completion.complete_consumers("trl_d") == ["trl_dpo"]


def test_every_key_that_is_offered_is_one_of_the_file_s(root: Path) -> None:
    path = str(root / "recipes" / "demo.yaml")
    keys = completion.complete_settings(given(params=path), "")
    assert {"generate.n=", "judge.judges.1.model=", "models.policy.engine="} <= set(keys)
    for key in keys:
        # The value may be of a wrong type, which names the key, or of a right one.
        try:
            load_params(path, [f"{key}{{nothing: [3]}}"])
        except ConfigError as error:
            assert f"{key.rstrip('=')}: unknown key" not in str(error)
    one = completion.complete_settings(given(params=path), "consensus.min_c")
    assert one == ["consensus.min_confidence="]


def test_keys_are_offered_without_a_file_too(tmp_path: Path) -> None:
    broken = tmp_path / "params.yaml"
    for text in (None, "{", "3", "judge: {judges: 3}\nmodels: [1]"):
        if text is not None:
            broken.write_text(text)
        assert "generate.n=" in completion.complete_settings(given(params=str(broken)), "gen")


def test_versions_are_offered_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completion.complete_versions("") == []
    (tmp_path / "data" / "dataset" / "versions" / "acf4607a5242-2a27002d").mkdir(parents=True)
    assert completion.complete_versions("pla") == ["placid-lapis-mountain"]
    assert completion.complete_versions("data/dataset@") == ["data/dataset@placid-lapis-mountain"]


def test_the_shell_gets_it_and_nothing_heavy_is_loaded(root: Path) -> None:
    code = (
        "import atexit, sys; from prefdata.cli.app import main; "
        f"atexit.register(lambda: print('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])); "
        "main()"
    )
    words = "prefdata run --set consensus.min_c"
    shell = {"_PREFDATA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, **shell},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[:2] == ["consensus.min_confidence=", "LOADED"]
