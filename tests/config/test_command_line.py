"""Wrong configurations and commands: exit code 2, the reason, and nothing done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import pytest

from prefdata.cli import app as cli

JUDGE = {"kind": "pairwise", "model": "policy"}


def refused(folder: Path, capsys: pytest.CaptureFixture[str], command: str, **changes: Any) -> str:
    """What the command says as it stops with 2 before it made the data folder."""
    flows.write_prompts(folder, 4)
    params = flows.write_params(folder, **changes)
    assert cli.main([command, "--params", str(params), "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"prefdata {command}: ")
    assert "Traceback" not in captured.err
    assert not (folder / "data").exists()
    return captured.err


def judge(*judges: dict[str, Any]) -> dict[str, Any]:
    return {"judges": list(judges)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"judge": judge({**JUDGE, "modl": "x"})},
            "judge.judges.0.modl: unknown key (did you mean 'model'?); valid here: dimension",
        ),
        (
            {"judge": judge(JUDGE, {"kind": "implicit_reward", "beta": 0})},
            "judge.judges.1.beta: Input should be greater than 0",
        ),
        (
            {"judge": judge({"kind": "oracle"})},
            "judge.judges.0.kind: 'oracle' is unknown; known: constraints, critique, "
            "embedding_reward, exact_match, hindsight, honesty, human, implicit_reward, ",
        ),
        ({"judge": judge(JUDGE, JUDGE)}, "the name 'pairwise' is taken"),
        (
            {"judge": judge({**JUDGE, "model": "nobody"})},
            "model 'nobody' is not defined; models has: policy, reference",
        ),
        (
            {"consensus": {"kind": "vote"}},
            "consensus.kind: 'vote' is unknown; known: agreement_ranking, bradley_terry, ",
        ),
        (
            {"consensus": {"kind": "mean", "confidence": 1}},
            "consensus.confidence: unknown key (did you mean 'min_confidence'?); valid here: ",
        ),
        (
            {"generate": {"model": "nobody"}},
            "model 'nobody' is not defined; models has: policy, reference",
        ),
        (
            {"models": {"policy": {"engine": "abacus", "model": "m"}}},
            "models.policy.engine: 'abacus' is unknown; known: openai, reward_model, ",
        ),
        (
            {"pair": {"strategy": {"kind": "random"}}},
            "pair.strategy.kind: 'random' is unknown (did you mean 'best_random'?); known: adj",
        ),
        (
            {"pair": {"strategy": {"kind": "best_worst", "typo": 1}}},
            "pair.strategy.typo: unknown key; valid here: ",
        ),
        (
            {"filter": {"filters": [{"kind": "near_identical"}, {"kind": "length"}]}},
            "filter.filters.1.kind: 'length' is unknown (did you mean 'length_bias'?); known: ",
        ),
        (
            {"filter": {"filters": [{"kind": "near_identical", "typo": 1}]}},
            "filter.filters.0.typo: unknown key; valid here: ",
        ),
        (
            {"export": {"formats": [{"kind": "csv"}]}},
            "export.formats.0.kind: 'csv' is unknown; known: ",
        ),
        (
            {"augment": {"augmentations": [{"kind": "rewards", "judges": ["nobody"]}]}},
            "augment.augmentations.0: no judge is called 'nobody'; judge.judges has: pairwise",
        ),
        (
            {"generation": {}},
            "generation: unknown key (did you mean 'generate'?); valid here: augment",
        ),
        ({"generate": {"N": 4}}, "generate.N: unknown key (did you mean 'n'?); valid here: "),
        (
            {"ingest": {"sources": [{"path": "a.jsonl", "file": "b"}]}},
            "ingest.sources.0.file: unknown key; valid here: annotations, format, ",
        ),
        ({"buckets": 3}, "buckets: 3 is no power of two\n  remedy: Set 1, 2, 4, 8 … or auto."),
        ({"buckets": 0}, "buckets: Input should be greater than or equal to 1"),
    ],
)
@pytest.mark.parametrize("command", ["run", "ingest"])
def test_a_wrong_setting_of_any_stage_stops_the_first_one(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    changes: dict[str, Any],
    expected: str,
) -> None:
    assert expected in refused(tmp_path, capsys, command, **changes)


@pytest.mark.parametrize("command", ["run", "ingest", "export", "status"])
def test_missing_or_broken_params_stop_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = tmp_path / "params.yaml"
    for content, expected in (
        (None, "can't be read"),
        ("a: [", "not YAML"),
        ("- a", "a mapping of sections was expected"),
    ):
        if content is not None:
            path.write_text(content)
        assert cli.main([command, "--params", str(path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"prefdata {command}: {path}: ")
        assert expected in said


@pytest.mark.parametrize("override", ["generate.n", "generate.n=[8", "data.x=1", "nothing.x=1"])
def test_a_wrong_set_stops_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str
) -> None:
    params = flows.write_params(tmp_path)
    assert cli.main(["ingest", "--params", str(params), "--set", override]) == 2
    said = capsys.readouterr().err
    assert said.startswith("prefdata ingest: ")
    assert override.partition(".")[0] in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ingest", "--frobnicate"], "neither prefdata nor Beam knows --frobnicate"),
        (["ingest", "--frobnicate=3", "--streaming"], "knows --frobnicate=3"),
        (
            ["ingest", "--param", "x.yaml"],
            "nor Beam knows --param (did you mean '--params'?) x.yaml\n",
        ),
        (["ingest", "--runer=SparkRunner"], "--runer=SparkRunner (did you mean '--runner'?)"),
        (["status", "--jsn"], "it takes no --jsn (did you mean '--json'?)"),
        (["memo", "stat"], "No such command 'stat'. Did you mean 'stats'?"),
        (["ingest", "leftover", "--streaming"], "neither prefdata nor Beam knows leftover"),
        (["ingest", "leftover"], "neither prefdata nor Beam knows leftover"),
        (["status", "--runner=FnApiRunner"], "prefdata status: it runs no pipeline"),
        (["schemas", "--streaming"], "prefdata schemas: it runs no pipeline"),
        (["digest"], "No such command 'digest'. Did you mean 'ingest'"),
        ([], "Usage: prefdata [OPTIONS] COMMAND"),
    ],
)
def test_a_command_line_that_nobody_understands_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    flows.write_prompts(tmp_path, 2)
    flows.write_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert expected in printed.err + printed.out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("runner", ["DaskRunner", "dask"])
def test_the_runner_that_loses_rows_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], runner: str
) -> None:
    flows.write_prompts(tmp_path, 2)
    params = str(flows.write_params(tmp_path))
    assert cli.main(["ingest", "--params", params, "--quiet", f"--runner={runner}"]) == 2
    said = capsys.readouterr().err
    assert f"--runner={runner}: it loses and repeats rows" in said
    assert "remedy: Use the default, or SparkRunner" in said
    assert not (tmp_path / "data").exists()


def test_a_refused_runner_leaves_the_finished_table_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows.write_prompts(tmp_path, 2)
    params = str(flows.write_params(tmp_path))
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 0
    assert cli.main(["ingest", "--params", params, "--quiet", "--runner=DaskRunner"]) == 2
    assert "it loses and repeats rows" in capsys.readouterr().err
    assert (tmp_path / "data" / "prompts" / "_table.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--runner", "DaskRunner"],
        ["--runner=daskrunner"],
        ["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"],
        ["--runner=NoSuchRunner"],
    ],
)
def test_a_runner_that_is_refused_or_unknown_is_a_wrong_command_however_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    flows.write_prompts(tmp_path, 2)
    params = str(flows.write_params(tmp_path))
    assert cli.main(["ingest", "--params", params, "--quiet", *arguments]) == 2
    assert capsys.readouterr().err.startswith("prefdata ingest: --runner")
