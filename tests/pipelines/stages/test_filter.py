"""The filter stage: any filters in any order, nothing lost, the same again; and the dry run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefdata.cli.app import main
from prefdata.config import load_params
from prefdata.config.params import Params
from prefdata.filters import registry as lookup
from prefdata.pipelines.stages.filter import dry_run, labels
from prefdata.pipelines.stages.registry import STAGES
from prefdata.pipelines.stats import Stats
from prefdata.reports.filters import steps

SETTINGS: dict[str, dict[str, Any]] = {
    "ches": {"max_quantile": 0.8},
    "contamination": {"n": 5},
    "facility_location": {"budget": 30},
    "k_center": {"budget": 24, "over": "pairs"},
    "language": {"languages": ["en", "de", "fr"]},
    "length_bias": {"bins": 2},
    "limit": {"pairs": 60},
    "near_duplicates": {"over": "chosen", "max_similarity": 0.5},
    "near_identical": {"max_similarity": 0.5},
    "offensive": {"max_probability": 0.05},
    "personal_data": {},
    "quality_diversity": {"budget": 28, "dimensions": 2},
    "refusals": {},
    "repetition": {"max_repeated": 0.1},
    "semantic_duplicates": {"max_similarity": 0.6},
    "similar_responses": {"max_similarity": 0.3},
    "truncation": {},
}
MODELS = {
    name: {"engine": "scripted", "model": name} for name in ("policy", "reference", "embedder")
}


def test_every_filter_is_among_those_tried() -> None:
    assert sorted(SETTINGS) == sorted(lookup.FILTERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables before filter, of 40 prompts and several pairs each."""
    made = tmp_path_factory.mktemp("filter")
    strategy = {"kind": "all_above_margin", "min_margin": 0.3}
    params = flows.params(made, 40, models=MODELS, pair={"strategy": strategy}, filter=None)
    for name in ("ingest", "generate", "judge", "pair", "augment"):
        STAGES[name](params, [], True)
    (made / "evaluation.txt").write_text("what is a garden 74 good for, and why 4?\n")
    return made


def with_filters(folder: Path, kinds: list[str]) -> Params:
    parts = [{"kind": kind, **SETTINGS[kind]} for kind in kinds]
    for part in parts:
        if part["kind"] == "contamination":
            part["files"] = [str(folder / "evaluation.txt")]
    raw = yaml.safe_load((folder / "params.yaml").read_text())
    raw["filter"] = {"filters": parts}
    path = folder / "filters.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_params(path)


def hashes(folder: Path) -> dict[str, str]:
    files = [
        *(folder / "data/filtered").glob("*"),
        *(folder / "data/dropped/filter").glob("*"),
    ]
    return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(files)}


def check(folder: Path, kinds: list[str]) -> Stats:
    """Run the stage twice and dry once; the counts."""
    params = with_filters(folder, kinds)
    stats = STAGES["filter"](params, [], True)
    first = hashes(folder)
    filtered = pl.read_parquet(folder / "data/filtered/*.parquet")
    dropped = pl.read_parquet(folder / "data/dropped/filter/*.parquet")
    augmented = pl.read_parquet(folder / "data/augmented/*.parquet")
    rejected = [orjson.loads(r)["pair_id"] for r in dropped["record"]]
    assert sorted([*filtered["pair_id"], *rejected]) == sorted(augmented["pair_id"])
    assert dropped["detail"].str.len_chars().min() or not dropped.height
    # What one filter kept is what the next one gets.
    reaching = augmented.height
    for step in steps(params, stats).values():
        assert step["in"] == reaching
        assert step["in"] == step["out"] + sum(step["rejected"].values())
        reaching = step["out"]
    assert reaching == filtered.height
    # A dry run says the same and touches nothing.
    dry = dry_run(params, [], True)
    assert steps(params, dry) == steps(params, stats)
    assert hashes(folder) == first
    STAGES["filter"](params, [], True)
    assert hashes(folder) == first
    return stats


@settings(
    max_examples=4,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(sorted(SETTINGS)), max_size=5, unique=True))
def test_any_filters_run_in_any_order_and_nothing_is_lost(folder: Path, kinds: list[str]) -> None:
    check(folder, kinds)


def test_all_filters_run_after_one_another(folder: Path) -> None:
    assert len(check(folder, sorted(SETTINGS, reverse=True)).rejected) > 4


def test_the_same_filter_may_stand_twice(folder: Path) -> None:
    check(folder, ["near_identical", "near_duplicates", "near_identical", "near_duplicates"])


def run(folder: Path, *arguments: str) -> int:
    return main(["filter", "--quiet", "--params", str(folder / "filters.yaml"), *arguments])


def test_a_dry_run_prints_the_funnel(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = with_filters(folder, ["truncation", "near_duplicates"])
    STAGES["filter"](params, [], True)
    before = hashes(folder)
    with_filters(folder, ["similar_responses", "ches"])
    assert run(folder, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["filter", "in", "out", "dropped", "why", "figures"]
    assert [line.split()[1] for line in lines[2:4]] == ["similar_responses", "ches"]
    assert "high_ches_normalized" in lines[3]
    assert lines[-1] == "dry run: no table was written; `prefdata filter` does it"
    assert hashes(folder) == before
    assert run(folder, "--dry-run", "--json") == 0
    found = orjson.loads(capsys.readouterr().out)
    assert list(found["filters"]) == ["0 similar_responses", "1 ches"]
    assert found["filters"]["1 ches"]["in"] == found["filters"]["0 similar_responses"]["out"]


def test_the_status_shows_the_last_runs_filters(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = with_filters(folder, ["k_center"])
    STAGES["filter"](params, [], True)
    path = str(folder / "filters.yaml")
    assert main(["status", "--params", path]) == 0
    assert "vendi_after" in capsys.readouterr().out
    assert main(["status", "--params", path, "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)["stages"]["filter"]["filters"]
    assert found["0 k_center"]["figures"]["coverage_before"] == 1
    # With other filters in params.yaml the last run's say nothing of them.
    with_filters(folder, ["ches"])
    assert main(["status", "--params", path, "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["stages"]["filter"]["filters"] == {}


def test_labels_tell_equal_filters_apart(folder: Path) -> None:
    params = with_filters(folder, ["ches", "ches"])
    assert labels(params) == ["0 ches", "1 ches"]
