"""The parts that the how-to pages write work as a plug-in: files, entry points, params.yaml.

The blocks of docs/how-to/parts become an installed package, and a flow of its parts runs in a
process of its own.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import flows
import polars as pl
import pytest
import yaml
from blocks import BLOCKS, ROOT, get_block

from prefdata.errors import NoPairs

PACKAGE = "my_parts"
PAGES = [block for block in BLOCKS if block.paper.parent.name == "parts"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and what pip would say of it."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / PACKAGE).mkdir()
    (folder / PACKAGE / "__init__.py").touch()
    for block in PAGES:
        if block.check == "python":
            assert block.name is not None
            place = folder if block.name.startswith("test_") else folder / PACKAGE
            (place / block.name).write_text(block.text, encoding="utf-8")
    project = tomllib.loads(get_block("toml", "pyproject.toml").text)["project"]
    info = folder / f"my_parts-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{kind} = {place}\n" for kind, place in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    return folder


def run(installed: Path, folder: Path, *arguments: str, code: int = 0) -> str:
    """Run Python in `folder` with the package installed, to this exit code; its output."""
    path = os.pathsep.join([str(installed), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def run_flow(installed: Path, folder: Path, *overrides: str, code: int = 0) -> None:
    """The flow of the page's params.yaml over twenty prompts."""
    lines = [f"Question {n}: what is {n * 37}?" for n in range(20)]
    (folder / "questions.txt").write_text("\n".join(["# twenty questions", *lines]) + "\n")
    (folder / "params.yaml").write_text(get_block("params", "parts").text, encoding="utf-8")
    changes = [word for override in overrides for word in ("--set", override)]
    run(installed, folder, "-m", "prefdata.cli.app", "run", "--quiet", *changes, code=code)


def read(folder: Path, table: str) -> pl.DataFrame:
    """All rows of a table."""
    return pl.read_parquet(folder / "data" / table / "*.parquet")


@pytest.fixture(scope="module")
def flow(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the flow has run."""
    folder = tmp_path_factory.mktemp("flow")
    run_flow(installed, folder)
    return folder


def test_every_page_has_a_kind_that_the_flow_uses() -> None:
    project = tomllib.loads(get_block("toml", "pyproject.toml").text)["project"]
    kinds = [kind for points in project["entry-points"].values() for kind in points]
    files = [b.name for b in PAGES if b.check == "python" and not str(b.name).startswith("test_")]
    assert sorted(f"{kind}.py" for kind in kinds) == sorted(map(str, files))
    used = yaml.safe_dump(yaml.safe_load(get_block("params", "parts").text))
    consumers = project["entry-points"]["prefdata.consumers"]
    assert [kind for kind in kinds if kind not in used and kind not in consumers] == []


def test_the_source_and_the_engine_run(flow: Path) -> None:
    assert read(flow, "prompts").height == 20
    assert read(flow, "dropped/ingest")["reason"].to_list() == ["comment"]
    responses = read(flow, "responses")
    samples = responses.drop_nulls("sample_index")
    assert samples.height == 80
    assert samples["text"].str.contains(r"^Question \d+: what is \d+\? [0-3]$").all()


def test_the_revision_runs(flow: Path) -> None:
    responses = read(flow, "responses")
    first = responses.filter(pl.col("sample_index") == 0).select(
        "prompt_id", revised_from="response_id", wanted="Say in one sentence: " + pl.col("text")
    )
    made = responses.filter(policy="terse").join(first, on=["prompt_id", "revised_from"])
    assert made.height == 20
    assert made["text"].equals(made["wanted"] + " 0")


def test_the_judge_and_the_consensus_run(flow: Path) -> None:
    judgments = read(flow, "judgments")
    assert set(judgments["judge"]) == {"likelihood"}
    assert judgments.height == 20 * 10
    assert judgments["preference"].is_between(0, 1).all()
    assert judgments["reward_a"].is_not_null().all()
    labels = read(flow, "labels")
    joined = labels.join(judgments, on=["prompt_id", "response_a", "response_b"], suffix="_judged")
    assert joined["preference"].equals(joined["preference_judged"])


def test_the_strategy_the_augmentations_and_the_filter_run(flow: Path) -> None:
    filtered = read(flow, "filtered")
    assert filtered.height == 20
    assert set(filtered["strategy"]) == {"clearest"}
    p = filtered["soft_label"].clip(1e-6, 1 - 1e-6)
    assert ((p / (1 - p)).log() - filtered["margin"]).abs().max() < 1e-9
    assert filtered["rationale"].null_count() == 0
    assert set(read(flow, "dropped/pair")["reason"]) == {"not_clearest"}


def test_the_consumer_is_asked_by_the_check(installed: Path, tmp_path: Path) -> None:
    row = {"prompt": "Is it dry?", "chosen": "No.", "rejected": "Yes.", "system": "Be brief."}
    (tmp_path / "pairs.jsonl").write_text(f"{json.dumps(row)}\n")
    command = ("-m", "prefdata.cli.app", "check", "pairs.jsonl", "--for", "text_trainer", "--json")
    report = json.loads(run(installed, tmp_path, *command, code=3).splitlines()[-1])
    assert [each["check"] for each in report["findings"]] == ["text_trainer_misreads"]


def test_the_export_runs(flow: Path) -> None:
    rows = flows.read(flow, "dataset")
    assert rows.columns == ["pair_id", "prompt", "chosen", "rejected"]
    assert rows.height == 20
    assert rows["prompt"].str.starts_with("Question").all()


def test_settings_and_failed_calls_have_their_reasons(installed: Path, tmp_path: Path) -> None:
    run_flow(
        installed,
        tmp_path,
        "filter.filters.0.min_chars=1000",
        "models.judge.options.fail=['Question 7:']",
        "consensus.max_faulty_fraction=1",
        "judge.max_faulty_fraction=1",
        code=NoPairs.exit_code,
    )
    dropped = read(tmp_path, "dropped/filter")
    assert set(dropped["reason"]) == {"short_chosen"}
    assert dropped["detail"].str.ends_with("characters, min_chars 1000").all()
    assert read(tmp_path, "filtered").height == 0
    unscored = read(tmp_path, "judgments").filter(pl.col("unscored").is_not_null())
    assert unscored.height == 10
    assert unscored["preference"].is_null().all()
    assert set(unscored["unscored"]) == {"model_error: scripted failure"}


def test_the_page_s_test_passes(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed)
    names = runpy.run_path(str(installed / "test_short_chosen.py"))
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 1
    for test in tests:
        test()
