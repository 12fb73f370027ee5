"""The filter stage: any filters in any order, nothing lost, the same again; and the dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import flows
import orjson
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefdata.accounting.stats import Stats
from prefdata.cli.app import main
from prefdata.config import Params, load_params
from prefdata.files import storage
from prefdata.filters.registry import FILTERS
from prefdata.pipelines.run import dry_run_filters, run_stage

KINDS = list(FILTERS.parts)
DROPPING: dict[str, dict[str, Any]] = {
    "ches": {"max_quantile": 0.8},
    "facility_location": {"budget": 30},
    "k_center": {"budget": 24, "over": "pairs"},
    "language": {"languages": ["en", "de", "fr"]},
    "length_bias": {"bins": 2},
    "limit": {"pairs": 60},
    "near_duplicates": {"over": "chosen", "max_similarity": 0.5},
    "near_identical": {"max_similarity": 0.5},
    "offensive": {"max_probability": 0.05},
    "policies": {"same": "always"},
    "quality_diversity": {"budget": 28, "dimensions": 2},
    "repetition": {"max_repeated": 0.1},
    "semantic_duplicates": {"max_similarity": 0.6},
    "similar_responses": {"max_similarity": 0.3},
}
"""Settings with which filters drop some of the pairs; others take their own example."""
TABLES = ("filtered", "dropped/filter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables before filter, of 40 prompts and several pairs each."""
    return prepare(tmp_path_factory.mktemp("filter"), 40)


def prepare(folder: Path, prompts: int, **changes: Any) -> Path:
    models = ("policy", "reference", "embedder")
    sections = {
        "models": {name: {"engine": "scripted", "model": name} for name in models},
        "pair": {"strategy": {"kind": "all_above_margin", "min_margin": 0.3}},
        "ches": None,
        "filter": None,
        **changes,
    }
    params = flows.params(folder, prompts, **sections)
    flows.run(params, "ingest", "generate", "judge", "consensus", "pair", "augment")
    (folder / "evaluation.txt").write_text("what is a garden 74 good for, and why 4?\n")
    return folder


def set_filters(folder: Path, *filters: dict[str, Any]) -> Params:
    """params.yaml with these filters, in FOLDER/filters.yaml."""
    raw = yaml.safe_load((folder / "params.yaml").read_text())
    raw["filter"] = {"filters": list(filters)}
    path = folder / "filters.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_params(path)


def set_kinds(folder: Path, *kinds: str) -> Params:
    """The same, each with settings of its kind."""
    contamination = {"files": [str(folder / "evaluation.txt")], "n": 5}
    chosen: dict[str, Any] = {**DROPPING, "contamination": contamination}
    examples = {kind: dict(FILTERS.parts[kind].config_type.example) for kind in kinds}
    return set_filters(folder, *({"kind": k, **chosen.get(k, examples[k])} for k in kinds))


def check_filters(folder: Path, *kinds: str) -> Stats:
    """Run the stage, and once more dry; the counts."""
    params = set_kinds(folder, *kinds)
    stats = flows.run(params, "filter")["filter"]
    first = flows.hash_files(folder, *TABLES)
    filtered, dropped, augmented = (
        flows.read(folder, table) for table in ("filtered", "dropped/filter", "augmented")
    )
    fallen = [orjson.loads(record)["pair_id"] for record in dropped["record"]]
    assert sorted([*filtered["pair_id"], *fallen]) == sorted(augmented["pair_id"])
    assert dropped["detail"].str.len_chars().min() or not dropped.height
    # What one filter kept is what the next one gets.
    reaching = augmented.height
    for label in params.label_filters():
        counts = stats.filters.get(label)
        if counts is None:
            assert reaching == 0
            continue
        assert counts.rows_in == reaching
        assert counts.rows_in == counts.rows_out + sum(counts.dropped.values())
        reaching = counts.rows_out
    assert reaching == filtered.height
    # A dry run says the same and touches nothing.
    dry = dry_run_filters(params)
    assert dry.filters == stats.filters
    assert (dry.rows_in, dry.rows_out, dry.dropped) == (
        stats.rows_in,
        stats.rows_out,
        stats.dropped,
    )
    assert flows.hash_files(folder, *TABLES) == first
    return stats


@settings(
    max_examples=3,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(KINDS), max_size=5, unique=True))
def test_any_filters_run_in_any_order_and_nothing_is_lost(folder: Path, kinds: list[str]) -> None:
    check_filters(folder, *kinds)


def test_all_filters_run_after_one_another_and_write_the_same_bytes_again(folder: Path) -> None:
    assert len(check_filters(folder, *reversed(KINDS)).dropped) > 4
    first = flows.hash_files(folder, *TABLES)
    flows.run(set_kinds(folder, *reversed(KINDS)), "filter")
    assert flows.hash_files(folder, *TABLES) == first


def test_the_same_filter_may_stand_twice(folder: Path) -> None:
    kinds = ["near_identical", "near_duplicates"]
    stats = check_filters(folder, *kinds, *kinds)
    assert sorted(stats.filters) == [f"{number} {kind}" for number, kind in enumerate(kinds * 2)]


def test_another_limit_asks_no_model(folder: Path) -> None:
    """Of a filter that asks one: what was measured is in the memo."""
    flows.run(set_kinds(folder, "ches", "similar_responses", "semantic_duplicates"), "filter")
    before = flows.read(folder, "filtered").height
    params = set_filters(
        folder,
        {"kind": "ches", "max_quantile": 0.3},
        {"kind": "similar_responses", "max_similarity": 0.4},
        {"kind": "semantic_duplicates", "max_similarity": 0.7},
    )
    stats = flows.run(params, "filter")["filter"]
    assert flows.read(folder, "filtered").height != before
    assert set(stats.usage) == {"hidden_sums policy", "embed embedder"}
    assert all(asked.cached == asked.requests > 0 for asked in stats.usage.values())


def test_an_evaluation_file_is_read_once_for_all_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = {"judges": [{"kind": "pairwise", "model": "policy"}]}
    pair = {"strategy": {"kind": "best_worst"}}
    folder = prepare(tmp_path, 20, generate={"n": 2}, judge=judge, pair=pair, buckets=16)
    read: list[str] = []
    plain = storage.open_file

    def watch(path: str) -> BinaryIO:
        read.append(path)
        return plain(path)

    monkeypatch.setattr(storage, "open_file", watch)
    run_stage("filter", set_kinds(folder, "contamination"))
    assert flows.read(folder, "dropped/filter").height > 0
    assert read.count(str(folder / "evaluation.txt")) == 1


def run(folder: Path, *arguments: str) -> int:
    return main([*arguments, "--quiet", "--params", str(folder / "filters.yaml")])


def test_a_dry_run_prints_the_funnel(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flows.run(set_kinds(folder, "truncation", "near_duplicates"), "filter")
    before = flows.hash_files(folder, *TABLES)
    set_kinds(folder, "similar_responses", "ches")
    assert run(folder, "filter", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["filter", "in", "out", "dropped", "why", "figures"]
    assert [line.split()[1] for line in lines[2:4]] == ["similar_responses", "ches"]
    assert "high_ches_normalized" in lines[3]
    assert lines[-1] == "dry run: no table was written; `prefdata filter` does it"
    assert flows.hash_files(folder, *TABLES) == before
    assert run(folder, "filter", "--dry-run", "--json") == 0
    report = orjson.loads(capsys.readouterr().out)["filters"]
    assert list(report) == ["0 similar_responses", "1 ches"]
    assert report["1 ches"]["in"] == report["0 similar_responses"]["out"]


def test_the_status_shows_the_last_runs_filters(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = set_kinds(folder, "k_center")
    flows.run(params, "filter")
    assert run(folder, "status") == 0
    assert "vendi_after" in capsys.readouterr().out
    assert run(folder, "status", "--json") == 0
    report = orjson.loads(capsys.readouterr().out)["stages"]["filter"]["filters"]
    assert {"name": "coverage_before", "value": 1} in report["0 k_center"]["figures"]
    # With other filters in params.yaml the last run's say nothing of them.
    set_kinds(folder, "ches")
    assert run(folder, "status", "--json") == 0
    assert orjson.loads(capsys.readouterr().out)["stages"]["filter"]["filters"] == {}
