"""Publishing: one commit, what is in it, and what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import flows
import huggingface_hub.constants
import orjson
import pytest
import yaml
from dataset.hub.server import Hub

from prefdata.cli import app
from prefdata.dataset.manifest import read_manifest
from prefdata.dataset.verification.version import verify
from prefdata.reports.dataset import pictures

NAME = "org/name"
TABLES = ["prompts", "responses", "judgments", "labels", "ches", "pairs", "augmented", "filtered"]


def publish(
    folder: Path, capsys: pytest.CaptureFixture[str], *options: str, code: int = 0
) -> dict[str, Any]:
    """Run the command on the folder's dataset; its report, or {"error": …}."""
    arguments = ["publish", str(folder / "data" / "dataset"), "--repo", NAME, "--quiet", "--json"]
    found = app.main([*arguments, *options])
    out, err = capsys.readouterr()
    assert found == code, err
    return orjson.loads(out.splitlines()[0]) if out.startswith("{") else {"error": err}


def copy_run(run_folder: Path, folder: Path) -> Path:
    shutil.copytree(run_folder, folder / "run", dirs_exist_ok=True)
    return folder / "run"


@pytest.fixture(autouse=True)
def draw_few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures, but for the test that looks at the card."""
    if "dry_run" not in request.node.name:
        monkeypatch.setattr(pictures, "draw_pictures", lambda *_: [])


LOAD = """
import json, sys
from datasets import disable_progress_bars, get_dataset_config_names, load_dataset
disable_progress_bars()
found = {}
for name in get_dataset_config_names(sys.argv[1]):
    splits = load_dataset(sys.argv[1], name, revision=sys.argv[2])
    found[name] = {split: [len(rows), sorted(rows.column_names)] for split, rows in splits.items()}
    found[name]["first"] = str(next(iter(splits.values()))[0])
print(json.dumps(found))
"""


def test_every_form_and_the_record_are_loaded_by_name(
    run_folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = publish(run_folder, capsys, "--record")
    repo = hub.repos[f"dataset {NAME}"]
    assert (hub.counts["commit"], len(repo.commits), repo.private) == (1, 2, False)
    assert sorted(hub.read(NAME)) == sorted(
        [*(file["path"] for file in report["files"]), ".gitattributes"]
    )
    assert repo.tags == dict.fromkeys(report["tags"], repo.commits[-1][0])
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, NAME, report["tags"][1]],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = orjson.loads(done.stdout)
    manifest = read_manifest(str(flows.find_version(run_folder)))
    assert list(loaded) == [*manifest.exports, *TABLES, "dropped"]
    for name, entry in manifest.exports.items():
        columns = sorted(entry.columns)
        assert {k: v for k, v in loaded[name].items() if k != "first"} == {
            split: [rows, columns] for split, rows in entry.splits.items() if rows
        }
    # What is JSON in a row of a JSONL form is an object, as in the form itself.
    version = flows.find_version(run_folder)
    first = orjson.loads((version / "openai/train.jsonl").read_bytes().splitlines()[0])
    assert loaded["openai"]["first"].count(first["input"]["messages"][0]["content"]) == 1
    for name in TABLES:
        assert loaded[name]["full"][0] == flows.read(run_folder, name).height


def test_what_is_published_again_is_not_pushed_again(
    run_folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = publish(run_folder, capsys, "--record", "--private")
    assert hub.repos[f"dataset {NAME}"].private
    hub.counts.clear()
    again = publish(run_folder, capsys, "--record", "--private")
    assert (again["commit"], again["pushed_files"]) == (None, 0)
    assert not {"commit", "upload", "preupload", "tag"} & set(hub.counts)
    # A run that was killed between its commit and its tags.
    del hub.repos[f"dataset {NAME}"].tags[whole["tags"][0]]
    assert publish(run_folder, capsys, "--record")["new_tags"] == [whole["tags"][0]]
    # Without the record, its files go, in one commit, and the tags with it.
    assert not hub.counts["commit"]
    bare = publish(run_folder, capsys)
    assert hub.counts["commit"] == 1
    assert bare["removed_files"] == len(whole["files"]) - len(bare["files"])
    assert not any(path.startswith("record/") for path in hub.read(NAME))
    repo = hub.repos[f"dataset {NAME}"]
    assert set(repo.tags.values()) == {repo.commits[-1][0]}
    # What is fetched is sound, and a card that was edited in the copy is found.
    copy = tmp_path / "copy"
    for path, content in hub.read(NAME).items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes(content)
    assert not [check for check in verify(str(copy), 0.99)[2] if check.count]
    (copy / "README.md").write_text("mine")
    assert [c.named for c in verify(str(copy), 0.99)[2] if c.count] == [
        ["README.md: damaged: its content is not what the manifest says"]
    ]


def test_a_dry_run_says_what_would_be_pushed_and_needs_no_network(
    run_folder: Path,
    hub: Hub,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("HF_TOKEN")
    planned = publish(run_folder, capsys, "--dry-run", "--record")
    assert planned["dry_run"]
    assert not hub.counts
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    pushed = publish(run_folder, capsys, "--record")
    assert planned["files"] == pushed["files"]
    found = hub.read(NAME)
    assert {f["path"]: f["bytes"] for f in planned["files"]} == {
        path: len(content) for path, content in found.items() if path != ".gitattributes"
    }
    card = found["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert [each["config_name"] for each in front["configs"]] == list(planned["configs"])
    for warning in planned["warnings"]:
        assert warning.split(":")[0] in card
    assert "| `dropped` | " in card
    assert "no rows" not in card
    assert "![" in card
    assert f"prefdata import hub:{NAME}" in card
    assert f"tag: `{planned['tags'][0]}`" in card


def test_an_unsound_version_is_not_published(
    run_folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = copy_run(run_folder, tmp_path)
    path = flows.find_version(folder) / "llama_factory/train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"e", b"a", 1))
    assert publish(folder, capsys, code=3)["sound"] is False
    assert not hub.counts


def test_a_record_is_that_of_the_version(
    run_folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = copy_run(run_folder, tmp_path)
    shutil.rmtree(folder / "data" / "judgments")
    said = publish(folder, capsys, "--record", code=2)["error"]
    assert "judgments, of which the version was made, is not there" in said
    given = str(run_folder / "data")
    assert publish(folder, capsys, "--record", "--data", given, "--dry-run")["tables"]["judgments"]
