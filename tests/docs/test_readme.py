"""README.md is held to the code: its tables, its links, its layout and its examples."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest
import yaml

from prefdata.cli.app import build_parser
from prefdata.config import Params, load_params
from prefdata.engines.config import ModelParams
from prefdata.consensus import registry as consensuses
from prefdata.dataset.exports import registry as exports
from prefdata.engines.registry import ENGINES, load
from prefdata.filters import registry as filters
from prefdata.judges import registry as judges
from prefdata.pairs import registry as pairs
from prefdata.pipelines.stages.registry import STAGES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAPERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "recipes/README.md", "demo/README.md")

_BLOCK = re.compile(r"<!-- (\w+: \S+) -->\n```\w+\n(.*?)```", re.DOTALL)
BLOCKS = dict(_BLOCK.findall(README))

KINDS = {
    "judge": judges.JUDGES,
    "consensus": consensuses.CONSENSUSES,
    "strategy": pairs.STRATEGIES,
    "filter": filters.FILTERS,
    "export": exports.EXPORTS,
    "engine": ENGINES,
}


def _table(text: str, head: str) -> list[list[str]]:
    """The cells of each row of the first table whose first column is called `head`."""
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith(f"| {head} |")), None)
    assert start is not None, f"README.md has no table of {head}"
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def _section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("part", KINDS)
def test_every_kind_has_its_row(part: str) -> None:
    listed = [row[0].strip("`") for row in _table(_section("What there is"), part)]
    assert sorted(listed) == sorted(KINDS[part])
    assert all(len(row[1]) > 10 for row in _table(_section("What there is"), part))


def test_every_command_has_its_row() -> None:
    actions = build_parser()._actions
    commands = next(a for a in actions if isinstance(a, argparse._SubParsersAction))
    listed = [row[0].strip("`") for row in _table(_section("Commands"), "command")]
    assert sorted(listed) == sorted(f"prefdata {name}" for name in commands.choices)


def test_every_path_of_the_layout_exists() -> None:
    named = [
        p for row in _table(_section("Layout"), "path") for p in re.findall(r"`(.+?)`", row[0])
    ]
    assert len(named) > 15
    assert [p for p in named if not (ROOT / p).exists()] == []


def test_the_layout_names_every_package() -> None:
    layout = _section("Layout")
    packages = sorted(f.parent.name for f in ROOT.glob("prefdata/*/__init__.py"))
    assert [p for p in packages if f"`prefdata/{p}/`" not in layout] == []


@pytest.mark.parametrize("paper", PAPERS)
def test_relative_links_lead_somewhere(paper: str) -> None:
    text = (ROOT / paper).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    folder = (ROOT / paper).parent
    assert [t for t in targets if not (folder / t.partition("#")[0]).exists()] == []


def test_every_benchmark_it_names_exists() -> None:
    named = re.findall(r"python (benchmarks/\S+\.py)", README)
    assert named
    assert [p for p in named if not (ROOT / p).is_file()] == []


def test_every_exit_code_has_its_row() -> None:
    from prefdata import errors

    kinds = [e for e in vars(errors).values() if isinstance(e, type)]
    codes = {e.exit_code for e in kinds if issubclass(e, errors.PrefdataError)}
    listed = {int(row[0]) for row in _table(README, "exit code")}
    assert listed == codes | {0, 130, 143}


def test_the_worked_example_is_a_valid_configuration(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(BLOCKS["params: mine.yaml"], encoding="utf-8")
    overrides = re.findall(r"--set (\S+)", _section("Your own model and prompts"))
    params = load_params(path, overrides)
    assert params.generate.n == 16
    assert [judge.kind for judge in judges.build(params.judge.judges)] == [
        "pairwise",
        "implicit_reward",
    ]
    consensuses.build(params.judge.consensus)
    pairs.build(params.pair.strategy)
    exports.build(params.export.format)
    ches = filters.build(params.filter.filters)[2]
    assert ches.config.model_dump()["max_quantile"] == 0.5


def test_the_wanted_pairs_and_the_prices_are_valid() -> None:
    raw = yaml.safe_load(BLOCKS["params: mine.yaml"])
    raw["generate"] |= yaml.safe_load(BLOCKS["params: wanted"])["generate"]
    prices = yaml.safe_load(BLOCKS["params: prices"])["models"]["policy"]
    raw["models"]["policy"] |= prices
    params = Params.model_validate(raw)
    assert (params.generate.target_pairs, params.generate.most()) == (5000, 16)
    assert params.models["policy"].prices is not None


def test_the_served_model_is_a_valid_one() -> None:
    params = ModelParams.model_validate(
        yaml.safe_load(BLOCKS["params: server"])["models"]["policy"]
    )
    assert load("policy", params).refusal("score") is None


def test_the_vllm_example_says_what_the_engine_takes() -> None:
    from prefdata.engines.vllm.options import VllmOptions, check_options

    models = yaml.safe_load(BLOCKS["params: vllm.yaml"])["models"]
    recipe = load_params(ROOT / "recipes" / "vllm.yaml")
    assert list(models) == list(recipe.models)
    for name, raw in models.items():
        for params in (ModelParams(**raw), recipe.models[name]):
            check_options(name, params, VllmOptions(**params.options))
    named = re.findall(r"`(\w+)`", _section("Use vLLM"))
    assert set(VllmOptions.model_fields) <= {*named, "runner"}


def test_the_judge_and_the_filter_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, short = _execute("judge")["LikelihoodJudge"], _execute("filter")["ShortChosen"]
    monkeypatch.setitem(judges.JUDGES, judge.kind, judge)
    monkeypatch.setitem(filters.FILTERS, short.kind, short)
    parts = yaml.safe_load(BLOCKS["params: parts"])

    params = flows.params(tmp_path, **parts)
    _run(params, "ingest", "generate", "judge", "pair", "augment", "filter")
    judgments = _read(tmp_path, "judgments").filter(pl.col("judge") == "likelihood")
    assert judgments.height == 20 * 6
    assert judgments["preference"].is_between(0, 1).all()
    assert judgments["reward_a"].is_not_null().all()
    assert _read(tmp_path, "filtered").height == 20

    parts["filter"]["filters"][0]["min_chars"] = 1000
    _run(flows.params(tmp_path, **parts), "filter")
    assert _read(tmp_path, "filtered").height == 0
    dropped = _read(tmp_path, "dropped/filter")
    assert set(dropped["reason"]) == {"short_chosen"}
    assert set(dropped["detail"]) == {"200 characters, min_chars 1000"}


def test_a_failed_call_is_unscored_by_the_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = _execute("judge")["LikelihoodJudge"]
    monkeypatch.setitem(judges.JUDGES, judge.kind, judge)
    failing = {"engine": "scripted", "model": "judge", "options": {"fail": ["Question 7:"]}}
    params = flows.params(
        tmp_path,
        models={"policy": {"engine": "scripted", "model": "policy"}, "judge": failing},
        judge={
            "judges": [{"kind": "likelihood", "model": "judge"}],
            "consensus": {"kind": "mean"},
            "max_faulty_fraction": 1,
        },
        filter=None,
    )
    _run(params, "ingest", "generate", "judge")
    judgments = _read(tmp_path, "judgments").filter(pl.col("judge") == "likelihood")
    unscored = judgments.filter(pl.col("unscored").is_not_null())
    assert unscored.height == 6
    assert unscored["preference"].is_null().all()
    assert set(unscored["unscored"]) == {"model_error: scripted failure"}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data/ of a whole scripted run, as the working directory."""
    import datasets

    _run(flows.params(tmp_path), *(name for name in STAGES if name != "reward-head"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_result_loads(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = _execute("load")
    loaded = names["dataset"]
    assert loaded["train"].num_rows + loaded["test"].num_rows == _read(dataset, "filtered").height
    assert [m["role"] for m in names["row"]["chosen"]] == ["assistant"]
    assert "not_best_worst" in capsys.readouterr().out


@pytest.mark.slow
def test_the_trainer_takes_the_result(dataset: Path) -> None:
    (dataset / "demo").symlink_to(ROOT / "demo")
    brief = 'bf16=False, max_steps=1, per_device_train_batch_size=2, report_to="none"'
    trainer = _execute("train", ("bf16=False", brief))["trainer"]
    assert trainer.state.global_step == 1


def _execute(name: str, *changes: tuple[str, str]) -> dict[str, Any]:
    """What a marked block of README.md defines."""
    code = BLOCKS[f"python: {name}"]
    for old, new in changes:
        assert old in code
        code = code.replace(old, new, 1)
    names: dict[str, Any] = {"__name__": f"readme_{name}"}
    exec(compile(code, f"README.md, {name}", "exec"), names)
    return names


def _run(params: Params, *stages: str) -> None:
    for name in stages:
        STAGES[name](params, [], True)


def _read(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "data" / table / "*.parquet")
