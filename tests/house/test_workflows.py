"""The workflows run what is there, with no more rights than they need."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
WRITES = {
    ("release", "publish"): {"id-token"},
    ("release", "announce"): {"contents"},
    ("weekly", "newest"): {"issues"},
}
"""What a job may write, by workflow and job; all others may write nothing."""


def load(name: str) -> dict[Any, Any]:
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))


def list_steps(name: str) -> Iterator[dict[str, Any]]:
    for job in load(name)["jobs"].values():
        yield from job["steps"]


def test_there_is_one_for_each_purpose() -> None:
    # YAML reads the key `on` as true.
    triggers = {name: set(load(name)[True]) for name in WORKFLOWS}
    assert triggers == {
        "ci": {"push", "pull_request"},
        "release": {"push"},
        "weekly": {"schedule", "workflow_dispatch"},
    }
    commands = {name: [step.get("run", "") for step in list_steps(name)] for name in WORKFLOWS}
    assert {"bash .ci/run", "make docs"} <= set(commands["ci"])
    assert "make installed" in commands["release"]
    assert "make test-newest" in commands["weekly"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_target_and_file_that_it_runs_exists(name: str) -> None:
    commands = [step["run"] for step in list_steps(name) if "run" in step]
    made = {word for c in commands for word in re.findall(r"\bmake ([\w-]+)", c)}
    assert made <= TARGETS
    files = {path for c in commands for path in re.findall(r"(?:bash|python) (\S+)", c)}
    assert [path for path in files if not path.startswith("-") and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_has_no_more_rights_than_it_needs(name: str) -> None:
    workflow = load(name)
    assert workflow["permissions"] == {"contents": "read"}
    for job, settings in workflow["jobs"].items():
        rights = settings.get("permissions", {})
        assert {r for r, way in rights.items() if way == "write"} == WRITES.get((name, job), set())
        assert settings["timeout-minutes"] <= 60
    for step in list_steps(name):
        # A ref of another's branch may change under us; a text of an event may hold a command.
        assert re.search(r"@(v\d+|release/v1|[0-9a-f]{40})$", step.get("uses", "@v1"))
        assert "${{" not in step.get("run", "")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_a_release_waits_for_a_person_and_for_the_build() -> None:
    jobs = load("release")["jobs"]
    assert jobs["publish"]["environment"] == "release"
    assert (jobs["publish"]["needs"], jobs["announce"]["needs"]) == ("build", "publish")


@pytest.fixture(scope="module")
def find_notes() -> Callable[[str, str, str], str]:
    return runpy.run_path(str(ROOT / ".ci" / "release_notes.py"))["find_notes"]


def test_the_notes_are_the_changelog_s_section(find_notes: Callable[..., str]) -> None:
    text = "# Changelog\n\n## [Unreleased]\n\nNew.\n\n## [1.2.0] - 2026-11-01\n\n### A\n\nOld.\n\n"
    text += "## [1.1.0]\n\n"
    assert find_notes("v1.2.0", "1.2.0", text) == "### A\n\nOld.\n"
    for tag, version, problem in (
        ("v1.2.1", "1.2.0", "the tag is v1.2.1"),
        ("v1.3.0", "1.3.0", "no section"),
        ("v1.1.0", "1.1.0", "an empty one"),
    ):
        with pytest.raises(ValueError, match=problem):
            find_notes(tag, version, text)
